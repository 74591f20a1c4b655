// A value of a JSON file together with its path, read with checks.
//
// Every check that fails throws kInvalidTable with
//   file:line: path: what was given, allowed: what is allowed
// Thread safety: reads only. The tree and the file's name must outlive the field.
#ifndef ALLNORM_DISPATCH_JSON_FIELD_H_
#define ALLNORM_DISPATCH_JSON_FIELD_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dispatch/json_tree.h"
#include "dispatch/names.h"

namespace allnorm {

class JsonField {
 public:
  JsonField(const JsonNode& root, const std::string& file) : node_(&root), file_(&file) {}

  int line() const noexcept { return node_->line; }
  const std::string& path() const noexcept { return path_; }
  bool is_null() const noexcept { return node_->kind == JsonNode::Kind::kNull; }

  /// Checks that this is an object with all of `required`, perhaps `optional`, each once, and
  /// nothing else: a name that is not known is a typing error, not an extension.
  void check_fields(std::initializer_list<std::string_view> required,
                    std::initializer_list<std::string_view> optional = {}) const;

  /// A field of an object, which must have it.
  JsonField operator[](std::string_view name) const;
  bool has(std::string_view name) const;

  /// The items of an array.
  std::vector<JsonField> items() const;

  std::int64_t integer(std::int64_t smallest, std::int64_t largest, std::string_view also_allowed = {}) const;
  std::int64_t integer_of(std::span<const int> allowed) const;
  bool boolean() const;
  double positive_number(double largest) const;
  const std::string& string(std::size_t longest) const;

  template <typename Enum, std::size_t kCount>
  Enum name(const std::array<Enum, kCount>& allowed) const {
    if (node_->kind == JsonNode::Kind::kString) {
      if (const auto value = find_name(node_->text, allowed)) return *value;
    }
    refuse(list_names(allowed));
  }

  /// Throws: "file:line: path: 7 given, allowed: 1, 2, 4 or 8".
  [[noreturn]] void refuse(std::string_view allowed) const;
  [[noreturn]] void refuse(std::string_view given, std::string_view allowed) const;
  /// Throws: "file:line: path: message".
  [[noreturn]] void fail(std::string_view message) const { fail_at(node_->line, path_, message); }

 private:
  JsonField(const JsonNode& node, const std::string& file, std::string path)
      : node_(&node), file_(&file), path_(std::move(path)) {}
  const JsonNode* find(std::string_view name) const;
  std::string path_of(std::string_view name) const;
  [[noreturn]] void fail_at(int line, std::string_view path, std::string_view message) const;

  const JsonNode* node_;
  const std::string* file_;
  std::string path_;
};

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_JSON_FIELD_H_
