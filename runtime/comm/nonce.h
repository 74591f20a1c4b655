// Nonce: random bytes by which processes know each other, once.
#ifndef ALLNORM_COMM_NONCE_H_
#define ALLNORM_COMM_NONCE_H_

#include <sys/random.h>

#include <array>

#include "allnorm/error.h"

namespace allnorm {

using Nonce = std::array<char, 16>;

/// Throws kPeer.
inline Nonce new_nonce() {
  Nonce nonce{};
  if (::getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size())) {
    throw Error(ErrorCode::kPeer, "the system has no random bytes for a nonce");
  }
  return nonce;
}

}  // namespace allnorm

#endif  // ALLNORM_COMM_NONCE_H_
