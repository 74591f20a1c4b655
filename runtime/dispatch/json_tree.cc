#include "dispatch/json_tree.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "allnorm/error.h"

namespace allnorm {
namespace {

/// Reads the text for nlohmann's parser and counts lines on the way. The parser reads one character
/// beyond a number, so the line is that of the last character that was not a newline.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  struct Position {
    int newlines = 0;
    int line = 1;
  };

  CountingIterator(const char* at, Position* position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    const char c = *at_++;
    if (c == '\n') {
      ++position_->newlines;
    } else {
      position_->line = position_->newlines + 1;
    }
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  Position* position_;
};

/// Builds the tree from the parser's events. An event that returns false ends the parse.
class TreeBuilder {
 public:
  using Kind = JsonNode::Kind;
  using Json = nlohmann::json;

  TreeBuilder(const CountingIterator::Position* position, std::size_t max_values)
      : position_(position), max_values_(max_values) {}

  bool null() { return add(Kind::kNull) != nullptr; }
  bool boolean(bool value) { return add(Kind::kBool, value ? "true" : "false") != nullptr; }
  bool number_integer(Json::number_integer_t value) {
    return add_number(Kind::kInteger, std::to_string(value), value, static_cast<double>(value));
  }
  bool number_unsigned(Json::number_unsigned_t value) {
    const bool fits = value <= INT64_MAX;
    return add_number(fits ? Kind::kInteger : Kind::kNumber, std::to_string(value),
                      fits ? static_cast<std::int64_t>(value) : 0, static_cast<double>(value));
  }
  bool number_float(Json::number_float_t value, const std::string& written) {
    return add_number(Kind::kNumber, written, 0, value);
  }
  bool string(std::string& value) { return add(Kind::kString, std::move(value)) != nullptr; }
  bool binary(Json::binary_t&) { return fail("binary data"); }
  bool start_object(std::size_t) { return open(Kind::kObject); }
  bool start_array(std::size_t) { return open(Kind::kArray); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    key_ = std::move(name);
    key_line_ = position_->line;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& reason) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..."
    std::string_view what = reason.what();
    const std::string_view place = "parse error at line ";
    if (const auto at = what.find("] "); at != what.npos) what.remove_prefix(at + 2);
    if (what.substr(0, place.size()) == place) what.remove_prefix(what.find(": ") + 2);
    return fail("not JSON: " + printable(what));
  }

  JsonNode root;
  std::string error;

 private:
  JsonNode* add(Kind kind, std::string text = {}) {
    if (++values_ > max_values_) {
      fail(fmt::format("more than {} values", max_values_));
      return nullptr;
    }
    // Only the innermost open node grows, so the pointers to the nodes around it stay valid.
    JsonNode& node = open_.empty() ? root : open_.back()->items.emplace_back();
    node.kind = kind;
    node.line = position_->line;
    node.text = std::move(text);
    node.key = std::exchange(key_, {});
    node.key_line = std::exchange(key_line_, 0);
    return &node;
  }
  bool add_number(Kind kind, std::string text, std::int64_t integer, double number) {
    JsonNode* node = add(kind, std::move(text));
    if (node == nullptr) return false;
    node->integer = integer;
    node->number = number;
    return true;
  }
  bool open(Kind kind) {
    if (open_.size() == kMaxJsonDepth) {
      return fail(fmt::format("nested more than {} deep", kMaxJsonDepth));
    }
    JsonNode* node = add(kind);
    if (node != nullptr) open_.push_back(node);
    return node != nullptr;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }

  const CountingIterator::Position* position_;
  std::size_t max_values_;
  std::vector<JsonNode*> open_;
  std::size_t values_ = 0;
  std::string key_;
  int key_line_ = 0;
};

}  // namespace

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string shown(text.substr(0, kLongest));
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (text.size() > kLongest) shown += "...";
  return shown;
}

JsonNode parse_json(std::string_view text, const std::string& file, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw Error(ErrorCode::kInvalidTable,
                fmt::format("{}: {} bytes given, allowed: up to {}", file, text.size(), limits.bytes));
  }
  CountingIterator::Position position;
  TreeBuilder builder(&position, limits.values);
  // The end bounds it. NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage)
  const CountingIterator begin(text.data(), &position);
  const CountingIterator end(text.data() + text.size(), &position);
  if (!nlohmann::json::sax_parse(begin, end, &builder)) {
    throw Error(ErrorCode::kInvalidTable, fmt::format("{}:{}: {}", file, position.line, builder.error));
  }
  return std::move(builder.root);
}

}  // namespace allnorm
