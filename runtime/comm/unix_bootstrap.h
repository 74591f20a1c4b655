// UnixBootstrap: the ranks of a group, each a process of one user on one host, meet at a Unix socket.
//
// Rank 0 listens at <directory>/<session>.socket; whoever shows the nonce, which it wrote beside that for its own user
// alone, is let in. Once all have come both files are gone. All that ranks say goes through rank 0, which tells every
// rank of a failure: a process that ends is noticed at once, one that stands still after the timeout.
#ifndef ALLNORM_COMM_UNIX_BOOTSTRAP_H_
#define ALLNORM_COMM_UNIX_BOOTSTRAP_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "allnorm/bootstrap.h"

namespace allnorm {

struct UnixGroup {
  std::string directory;  ///< Absolute, on this host; made with mode 0700 if need be, and refused if others may write.
  std::string session;    ///< The same for all ranks, and no other group's: letters, digits, '.', '_' and '-'.
  int rank = 0;
  int world_size = 1;
  std::chrono::milliseconds timeout = std::chrono::seconds(60);
  /// For tests: called before each step with its name; may throw, or end the process.
  std::function<void(const char* step)> on_step;
};

/// Returns when all ranks have come. Throws kInvalidArgument, kPeer.
std::unique_ptr<Bootstrap> meet(const UnixGroup& group);

}  // namespace allnorm

#endif  // ALLNORM_COMM_UNIX_BOOTSTRAP_H_
