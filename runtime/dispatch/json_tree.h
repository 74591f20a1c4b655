// JSON whose values know the line they stand on, for messages about files that people write.
//
// Safe on hostile text: size, depth and number of values are bounded. Thread safety: plain values.
#ifndef ALLNORM_DISPATCH_JSON_TREE_H_
#define ALLNORM_DISPATCH_JSON_TREE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace allnorm {

inline constexpr std::size_t kMaxJsonBytes = 4u << 20;
inline constexpr std::size_t kMaxJsonDepth = 16;
inline constexpr std::size_t kMaxJsonValues = 500000;

struct JsonNode {
  /// kInteger: written as a whole number and in the range of std::int64_t; kNumber: any other.
  enum class Kind : std::uint8_t { kNull, kBool, kInteger, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  int line = 0;      ///< From 1: where the value begins.
  int key_line = 0;  ///< Where its key is, if it is a field.
  std::string key;   ///< The name of the field in the object around it; may be there twice.
  std::string text;  ///< The string, or the number as written, or "true".
  std::int64_t integer = 0;
  double number = 0;            ///< Also of a kInteger.
  std::vector<JsonNode> items;  ///< Of arrays and objects, in the order of the text.
};

struct JsonLimits {
  std::size_t bytes = kMaxJsonBytes;
  std::size_t values = kMaxJsonValues;
};

/// Throws kInvalidTable with "file:line: what is wrong".
JsonNode parse_json(std::string_view text, const std::string& file, const JsonLimits& limits = {});

/// Text of a file for a message: short, and with nothing that a terminal could act on.
std::string printable(std::string_view text);

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_JSON_TREE_H_
