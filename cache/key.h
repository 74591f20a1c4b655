// The name of a cache entry: a digest over everything that decides what the entry holds.
//
//   Key key = KeyBuilder().add("schema", 1).add("target", "sm_90a").add("options",
//   options).finish();
//
// Fields are hashed in the order of add(), names and values with their lengths, so that no two
// different lists of fields give the same bytes: ("ab", "c") is not ("a", "bc"). Thread safety:
// value types.
#ifndef ALLNORM_CACHE_KEY_H_
#define ALLNORM_CACHE_KEY_H_

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace allnorm::cache {

struct Key {
  using Fields = std::vector<std::pair<std::string, std::string>>;
  std::string hex;  ///< 64 lower-case hexadecimal digits.
  Fields fields;    ///< What was hashed, for the entry's provenance.
};

class KeyBuilder {
 public:
  KeyBuilder& add(std::string_view name, std::string_view value);

  /// The same as the number in decimal; a bool is 0 or 1.
  template <std::integral Integer>
  KeyBuilder& add(std::string_view name, Integer value) {
    return add(name, std::string_view(std::to_string(value)));
  }

  Key finish() const;

 private:
  Key::Fields fields_;
};

/// Whether the text is 64 lower-case hexadecimal digits, and so safe as a file name.
bool is_key(std::string_view hex) noexcept;

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_KEY_H_
