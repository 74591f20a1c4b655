// SHA-256 of bytes in memory. The one place that knows where it comes from (OpenSSL's libcrypto).
//
// Thread safety: free functions without state.
#ifndef ALLNORM_CACHE_SHA256_H_
#define ALLNORM_CACHE_SHA256_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace allnorm::cache {

inline constexpr std::size_t kSha256Bytes = 32;
using Digest = std::array<unsigned char, kSha256Bytes>;

Digest sha256(std::string_view bytes);

/// 64 lower-case hexadecimal digits.
std::string to_hex(const Digest& digest);

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_SHA256_H_
