// Bootstrap: how the ranks of a group, each a process, find each other and agree before they share memory.
//
// All ranks make the same calls in the same order. A call succeeds on all of them, or fails on all of them with the
// same message, which names the rank to blame, within the group's timeout and a quarter more. After a failure every
// further call fails with that message. Thread safety: one call at a time.
#ifndef ALLNORM_COMM_BOOTSTRAP_H_
#define ALLNORM_COMM_BOOTSTRAP_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace allnorm {

class Bootstrap {
 public:
  /// The most that a rank may give to a gather: what ranks tell each other is names, sizes and errors.
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

  virtual ~Bootstrap() = default;
  virtual int rank() const noexcept = 0;
  virtual int world_size() const noexcept = 0;

  /// The bytes that each rank has given, by rank. Throws kPeer; kInvalidArgument for more than kMaxBytes.
  virtual std::vector<std::string> all_gather(std::string_view mine) = 0;

  /// Nobody leaves before everybody has come. Throws kPeer.
  void barrier() { all_gather({}); }
};

}  // namespace allnorm

#endif  // ALLNORM_COMM_BOOTSTRAP_H_
