#include "cache/sha256.h"

// The plain functions: EVP would read the user's OpenSSL configuration, and fail where that is broken.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace allnorm::cache {

Digest sha256(std::string_view bytes) {
  Digest digest{};
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

std::string to_hex(const Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * digest.size());
  for (const unsigned char byte : digest) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

}  // namespace allnorm::cache
