#include "cache/key.h"

#include <cstdint>

#include "cache/sha256.h"

namespace allnorm::cache {
namespace {

void append(std::string& bytes, std::string_view text) {
  for (std::uint64_t size = text.size(), i = 0; i < 8; ++i, size >>= 8) {
    bytes.push_back(static_cast<char>(size & 0xff));
  }
  bytes.append(text);
}

}  // namespace

KeyBuilder& KeyBuilder::add(std::string_view name, std::string_view value) {
  fields_.emplace_back(name, value);
  return *this;
}

Key KeyBuilder::finish() const {
  std::string bytes;
  for (const auto& [name, value] : fields_) {
    append(bytes, name);
    append(bytes, value);
  }
  return {to_hex(sha256(bytes)), fields_};
}

bool is_key(std::string_view hex) noexcept {
  return hex.size() == 2 * kSha256Bytes &&
         hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace allnorm::cache
