// Bootstrap: how the ranks of a group, each a process, find each other and agree before they share memory.
//
// All ranks make the same calls in the same order. A call succeeds on all of them, or fails on all of them with the
// same message, which names the rank to blame, within the group's timeout and a quarter more. After a failure every
// further call fails with that message. Thread safety: one call at a time. A World holds on to its Bootstrap, which
// must outlive it.
//
// On one host meet_on_host() makes one, over MPI meet_over_mpi() (bootstrap_mpi.h). Where a program has its ranks
// connected otherwise, derive from Bootstrap or hand your all-gather to a CallbackBootstrap: torch.distributed, or what
// you have.
#ifndef ALLNORM_BOOTSTRAP_H_
#define ALLNORM_BOOTSTRAP_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "allnorm/export.h"

namespace allnorm {

class ALLNORM_EXPORT Bootstrap {
 public:
  /// The most that a rank may give to a gather: what ranks tell each other is names, sizes and errors.
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

  virtual ~Bootstrap();
  virtual int rank() const noexcept = 0;
  virtual int world_size() const noexcept = 0;

  /// The bytes that each rank has given, by rank. Throws kPeer; kInvalidArgument for more than kMaxBytes.
  virtual std::vector<std::string> all_gather(std::string_view mine) = 0;

  /// A directory of this user alone where ranks of one host may leave sockets; empty: the usual one (see HostGroup).
  virtual std::string host_directory() const;

  /// Nobody leaves before everybody has come. Throws kPeer.
  void barrier();
};

/// Processes of one user on one host.
struct HostGroup {
  int rank = 0;
  int world_size = 1;
  /// The same for all ranks, and no other group's that meets at the same time: letters, digits, '.', '_' and '-'.
  std::string session{};
  /// Where they meet: absolute, private to this user (made with mode 0700 if need be). Empty: allnorm-<user id> in
  /// $TMPDIR, or in /tmp.
  std::string directory{};
  /// How long a rank waits for another, now and in every later call of the Bootstrap.
  double timeout_seconds = 60;
};

/// Returns when all ranks have come. Throws kInvalidArgument, kInvalidEnvironment, kPeer.
ALLNORM_EXPORT std::unique_ptr<Bootstrap> meet_on_host(const HostGroup& group);

/// The rank that torchrun or mpirun (Open MPI, MPICH, Intel MPI) has made this process, from the environment: rank,
/// world_size, session. Where the launcher gives the job no name (MPICH), its ranks must be children of one process: no
/// wrapper for each. Throws kInvalidEnvironment if there is no launcher, or what it says makes no sense; kUnsupported
/// if it says that it started ranks on several hosts, which need another Bootstrap, or more than 72.
ALLNORM_EXPORT HostGroup launched_group();
/// Whether the environment says that this process is one of several ranks. Throws kInvalidEnvironment likewise.
ALLNORM_EXPORT bool is_launched_rank();

/// A Bootstrap over the all-gather that a program has already. The callback keeps the promises of Bootstrap as far as
/// it can: what it throws is what the caller gets.
class ALLNORM_EXPORT CallbackBootstrap final : public Bootstrap {
 public:
  /// Gives each rank's bytes, by rank; they differ in length.
  using AllGather = std::function<std::vector<std::string>(std::string_view mine)>;

  /// Throws kInvalidArgument.
  CallbackBootstrap(int rank, int world_size, AllGather all_gather);
  ~CallbackBootstrap() override;

  int rank() const noexcept override { return rank_; }
  int world_size() const noexcept override { return world_size_; }
  std::vector<std::string> all_gather(std::string_view mine) override;

 private:
  int rank_;
  int world_size_;
  AllGather all_gather_;
};

}  // namespace allnorm

#endif  // ALLNORM_BOOTSTRAP_H_
