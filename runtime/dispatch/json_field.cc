#include "dispatch/json_field.h"

#include <fmt/format.h>

#include <algorithm>

#include "allnorm/error.h"

namespace allnorm {
namespace {

using Kind = JsonNode::Kind;

std::string describe(const JsonNode& node) {
  switch (node.kind) {
    case Kind::kNull: return "null";
    case Kind::kString: return fmt::format("\"{}\"", printable(node.text));
    case Kind::kArray: return "an array";
    case Kind::kObject: return "an object";
    default: return printable(node.text);
  }
}

}  // namespace

void JsonField::fail_at(int line, std::string_view path, std::string_view message) const {
  throw Error(ErrorCode::kInvalidTable,
              fmt::format("{}:{}: {}: {}", *file_, line, path.empty() ? "the table" : path, message));
}

void JsonField::refuse(std::string_view given, std::string_view allowed) const {
  fail(fmt::format("{} given, allowed: {}", given, allowed));
}

void JsonField::refuse(std::string_view allowed) const { refuse(describe(*node_), allowed); }

std::string JsonField::path_of(std::string_view name) const {
  return path_.empty() ? printable(name) : fmt::format("{}.{}", path_, printable(name));
}

const JsonNode* JsonField::find(std::string_view name) const {
  if (node_->kind != Kind::kObject) refuse("an object");
  for (const JsonNode& field : node_->items) {
    if (field.key == name) return &field;
  }
  return nullptr;
}

void JsonField::check_fields(std::initializer_list<std::string_view> required,
                             std::initializer_list<std::string_view> optional) const {
  if (node_->kind != Kind::kObject) refuse("an object");
  std::vector<std::string_view> known(required);
  known.insert(known.end(), optional);
  std::vector<std::string_view> seen;
  for (const JsonNode& field : node_->items) {
    if (std::find(known.begin(), known.end(), field.key) == known.end()) {
      fail_at(field.key_line, path_of(field.key), fmt::format("unknown field, allowed: {}", fmt::join(known, ", ")));
    }
    if (std::find(seen.begin(), seen.end(), field.key) != seen.end()) {
      fail_at(field.key_line, path_of(field.key), "given twice, allowed: once");
    }
    seen.push_back(field.key);
  }
  for (const std::string_view name : required) {
    if (find(name) == nullptr) fail_at(node_->line, path_of(name), "missing");
  }
}

bool JsonField::has(std::string_view name) const { return find(name) != nullptr; }

JsonField JsonField::operator[](std::string_view name) const {
  const JsonNode* field = find(name);
  if (field == nullptr) fail_at(node_->line, path_of(name), "missing");
  return {*field, *file_, path_of(name)};
}

std::vector<JsonField> JsonField::items() const {
  if (node_->kind != Kind::kArray) refuse("an array");
  std::vector<JsonField> fields;
  fields.reserve(node_->items.size());
  for (std::size_t i = 0; i < node_->items.size(); ++i) {
    fields.push_back({node_->items[i], *file_, fmt::format("{}[{}]", path_, i)});
  }
  return fields;
}

std::int64_t JsonField::integer(std::int64_t smallest, std::int64_t largest, std::string_view also_allowed) const {
  if (node_->kind != Kind::kInteger || node_->integer < smallest || node_->integer > largest) {
    refuse(fmt::format("a whole number from {} to {}{}", smallest, largest, also_allowed));
  }
  return node_->integer;
}

std::int64_t JsonField::integer_of(std::span<const int> allowed) const {
  if (node_->kind != Kind::kInteger || std::find(allowed.begin(), allowed.end(), node_->integer) == allowed.end()) {
    refuse(fmt::format("{}", fmt::join(allowed, ", ")));
  }
  return node_->integer;
}

bool JsonField::boolean() const {
  if (node_->kind != Kind::kBool) refuse("true or false");
  return node_->text == "true";
}

double JsonField::positive_number(double largest) const {
  const bool number = node_->kind == Kind::kInteger || node_->kind == Kind::kNumber;
  if (!number || !(node_->number > 0 && node_->number <= largest)) {
    refuse(fmt::format("a number above 0, up to {}", largest));
  }
  return node_->number;
}

const std::string& JsonField::string(std::size_t longest) const {
  if (node_->kind != Kind::kString || node_->text.empty() || node_->text.size() > longest) {
    refuse(fmt::format("a string of 1 to {} bytes", longest));
  }
  return node_->text;
}

}  // namespace allnorm
