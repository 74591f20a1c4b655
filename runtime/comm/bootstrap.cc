#include "allnorm/bootstrap.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <utility>

#include "allnorm/error.h"
#include "allnorm/types.h"
#include "comm/unix_bootstrap.h"
#include "comm/vote.h"
#include "env/launched_rank.h"

namespace allnorm {
namespace {

/// A day: longer than anybody waits.
constexpr double kMaxTimeoutSeconds = 86400;

std::optional<LaunchedRank> launched_here() { return launched_rank(Env::process_getter(), ::getppid()); }

}  // namespace

Bootstrap::~Bootstrap() = default;

std::string Bootstrap::host_directory() const { return {}; }

void Bootstrap::barrier() { all_gather({}); }

std::unique_ptr<Bootstrap> meet_on_host(const HostGroup& group) {
  if (!(group.timeout_seconds >= 0.001 && group.timeout_seconds <= kMaxTimeoutSeconds)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("timeout_seconds: {} given, allowed: 0.001 to {}",
                                                         group.timeout_seconds, kMaxTimeoutSeconds));
  }
  UnixGroup unix_group;
  unix_group.directory = group.directory.empty() ? Env::from_process().meeting_dir : group.directory;
  unix_group.session = group.session;
  unix_group.rank = group.rank;
  unix_group.world_size = group.world_size;
  unix_group.timeout = std::chrono::milliseconds(std::llround(group.timeout_seconds * 1000));
  return meet(unix_group);
}

HostGroup launched_group() {
  const std::optional<LaunchedRank> launched = launched_here();
  if (!launched) {
    throw Error(ErrorCode::kInvalidEnvironment,
                "this process is no rank: start it with torchrun or mpirun, which set RANK and WORLD_SIZE, "
                "OMPI_COMM_WORLD_RANK and _SIZE, or PMI_RANK and PMI_SIZE");
  }
  if (launched->world_size > kMaxWorldSize) {
    throw Error(ErrorCode::kUnsupported, fmt::format("{} has started {} processes; a group has at most {} ranks",
                                                     launched->launcher, launched->world_size, kMaxWorldSize));
  }
  if (launched->ranks_on_host != launched->world_size) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("{} has started {} of {} ranks on this host: between hosts AllNorm brings no network of its "
                    "own; give it your program's (meet_over_mpi, CallbackBootstrap)",
                    launched->launcher, launched->ranks_on_host, launched->world_size));
  }
  HostGroup group;
  group.rank = launched->rank;
  group.world_size = launched->world_size;
  group.session = launched->session;
  return group;
}

bool is_launched_rank() {
  const std::optional<LaunchedRank> launched = launched_here();
  return launched && launched->world_size > 1;
}

CallbackBootstrap::CallbackBootstrap(int rank, int world_size, AllGather all_gather)
    : rank_(rank), world_size_(world_size), all_gather_(std::move(all_gather)) {
  check_place(*this);
}

CallbackBootstrap::~CallbackBootstrap() = default;

std::vector<std::string> CallbackBootstrap::all_gather(std::string_view mine) {
  std::vector<std::string> all = all_gather_(mine);
  if (all.size() != static_cast<std::size_t>(world_size_) || all[static_cast<std::size_t>(rank_)] != mine) {
    throw Error(ErrorCode::kPeer,
                fmt::format("the all_gather callback gave {} values to rank {} of {}, or not its own in its place",
                            all.size(), rank_, world_size_));
  }
  return all;
}

}  // namespace allnorm
