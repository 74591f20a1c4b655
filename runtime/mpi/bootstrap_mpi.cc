#include "allnorm/bootstrap_mpi.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "allnorm/error.h"

// No fmt here: it is in liballnorm.so, for that library alone.
namespace allnorm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr double kMaxTimeoutSeconds = 86400;  // meet_on_host()'s
constexpr std::chrono::microseconds kPause(100);
/// Where ranks are there already, a quarter of the timeout is for them, but no less.
constexpr milliseconds kLeastPatience(20);

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void check(int result, const char* call) {
  if (result == MPI_SUCCESS) return;
  char words[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(result, words, &length) != MPI_SUCCESS) length = 0;
  throw Error(ErrorCode::kPeer, std::string(call) + ": " + std::string(words, static_cast<std::size_t>(length)) + " (" +
                                    std::to_string(result) + ")");
}

bool is_finalized() {
  int finalized = 0;
  return MPI_Finalized(&finalized) != MPI_SUCCESS || finalized != 0;
}

/// That MPI may be called, here and on this thread.
void check_may_call() {
  int initialized = 0;
  check(MPI_Initialized(&initialized), "MPI_Initialized");
  if (initialized == 0 || is_finalized()) {
    refuse("MPI: it is not initialized, or finalized already; allowed: between MPI_Init_thread and MPI_Finalize");
  }
  int level = MPI_THREAD_SINGLE;
  check(MPI_Query_thread(&level), "MPI_Query_thread");
  if (level == MPI_THREAD_SINGLE) {
    refuse(
        "MPI: it is initialized with MPI_THREAD_SINGLE, as by MPI_Init; allowed: MPI_THREAD_FUNNELED or more, from "
        "MPI_Init_thread, since AllNorm has threads of its own");
  }
  int is_main = 1;
  if (level == MPI_THREAD_FUNNELED) check(MPI_Is_thread_main(&is_main), "MPI_Is_thread_main");
  if (is_main == 0) {
    refuse("MPI: called by a thread that is not the main one; allowed with MPI_THREAD_FUNNELED: the main thread alone");
  }
}

milliseconds check_arguments(MPI_Comm communicator, double timeout_seconds) {
  if (!(timeout_seconds >= 0.001 && timeout_seconds <= kMaxTimeoutSeconds)) {
    refuse("timeout_seconds: " + std::to_string(timeout_seconds) + " given, allowed: 0.001 to 86400");
  }
  check_may_call();
  if (communicator == MPI_COMM_NULL) refuse("communicator: MPI_COMM_NULL given, allowed: a communicator of this rank");
  int is_inter = 0;
  check(MPI_Comm_test_inter(communicator, &is_inter), "MPI_Comm_test_inter");
  if (is_inter != 0) refuse("communicator: an inter-communicator given, allowed: one group of ranks");
  return milliseconds(std::llround(timeout_seconds * 1000));
}

/// A message to each peer, the same for all, and one from each.
struct Round {
  std::string mine;
  std::vector<std::string> from;  ///< By rank, as long as what will come.
  std::vector<MPI_Request> receives;
  std::vector<MPI_Request> sends;
};

bool is_done(MPI_Request& request) {
  int done = 0;
  check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
  return done != 0;
}

/// What MPI cannot take back it may still read and write: that is never freed.
void abandon(std::unique_ptr<Round> round) noexcept {
  bool is_pending = false;
  for (auto* requests : {&round->receives, &round->sends}) {
    for (MPI_Request& request : *requests) {
      if (request == MPI_REQUEST_NULL) continue;
      if (requests == &round->receives) MPI_Cancel(&request);
      int done = 0;
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      is_pending |= request != MPI_REQUEST_NULL;
    }
  }
  if (!is_pending) return;
  [[maybe_unused]] const Round* kept = round.release();
}

class RanksOfMpi {
 public:
  RanksOfMpi(MPI_Comm communicator, milliseconds timeout) : timeout_(timeout) {
    check(MPI_Comm_rank(communicator, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(communicator, &world_size_), "MPI_Comm_size");
  }
  RanksOfMpi(const RanksOfMpi&) = delete;
  RanksOfMpi& operator=(const RanksOfMpi&) = delete;
  ~RanksOfMpi() {
    // To free it is collective: not where the others may have gone.
    if (ours_ != MPI_COMM_NULL && !is_broken_ && !is_finalized()) MPI_Comm_free(&ours_);
  }

  int rank() const noexcept { return rank_; }
  int world_size() const noexcept { return world_size_; }

  /// All together, once and first.
  ///
  /// Two barriers before the duplication: while one is pending, Open MPI makes no other communicator in this process.
  /// The second one passes only where no rank had given up the first.
  void meet(MPI_Comm communicator) {
    is_broken_ = true;
    const std::string all = "not all of the communicator's " + std::to_string(world_size_) + " ranks ";
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(communicator, &request), "MPI_Ibarrier");
    complete(request, steady_clock::now() + timeout_, all + "came within " + std::to_string(timeout_.count()) + " ms");

    const auto deadline = steady_clock::now() + patience_;
    const std::string gave_up = all + "went on: some may have given up before the last one came";
    check(MPI_Ibarrier(communicator, &request), "MPI_Ibarrier");
    complete(request, deadline, gave_up);
    auto duplicate = std::make_unique<MPI_Comm>(MPI_COMM_NULL);
    check(MPI_Comm_idup(communicator, duplicate.get(), &request), "MPI_Comm_idup");
    try {
      complete(request, deadline, gave_up);
    } catch (...) {
      [[maybe_unused]] const MPI_Comm* kept = duplicate.release();  // MPI may still write there
      throw;
    }
    ours_ = *duplicate;
    check(MPI_Comm_set_errhandler(ours_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    is_broken_ = false;
  }

  std::vector<std::string> all_gather(std::string_view mine) {
    if (is_broken_) throw Error(ErrorCode::kPeer, failure_.empty() ? "an earlier call failed" : failure_);
    check_may_call();
    is_broken_ = true;  // until all of it went well
    const std::uint64_t size = mine.size();
    const std::string own_size(reinterpret_cast<const char*>(&size), sizeof(size));
    const std::vector<std::string> sizes =
        exchange(own_size, std::vector<std::string>(static_cast<std::size_t>(world_size_), own_size), timeout_);
    std::vector<std::string> all(sizes.size());
    for (std::size_t rank = 0; rank < all.size(); rank++) {
      std::uint64_t bytes = 0;
      std::memcpy(&bytes, sizes[rank].data(), sizeof(bytes));
      if (bytes > Bootstrap::kMaxBytes) {
        // All know and say so: nobody is ahead of anybody, and the group is as good as before.
        is_broken_ = false;
        refuse("all_gather: rank " + std::to_string(rank) + " gave " + std::to_string(bytes) +
               " bytes, allowed: at most " + std::to_string(Bootstrap::kMaxBytes));
      }
      all[rank].resize(bytes);
    }
    all = exchange(std::string(mine), std::move(all), patience_);
    is_broken_ = false;
    return all;
  }

 private:
  void complete(MPI_Request& request, steady_clock::time_point deadline, const std::string& otherwise) const {
    while (!is_done(request)) {
      if (steady_clock::now() >= deadline) {
        throw Error(ErrorCode::kPeer,
                    otherwise + "; MPI does not tell which (this is rank " + std::to_string(rank_) + ")");
      }
      std::this_thread::sleep_for(kPause);
    }
  }

  /// Gives `mine` to all, and fills `from`, whose strings are as long as what will come.
  std::vector<std::string> exchange(std::string mine, std::vector<std::string> from, milliseconds patience) {
    // Nothing is allocated while MPI has the buffers.
    auto round = std::make_unique<Round>(Round{std::move(mine), std::move(from), {}, {}});
    round->receives.assign(round->from.size(), MPI_REQUEST_NULL);
    round->sends.assign(round->from.size(), MPI_REQUEST_NULL);
    try {
      post(*round);
      wait(*round, patience);
    } catch (const Error& error) {
      abandon(std::move(round));
      failure_ = error.what();
      throw;
    } catch (...) {
      abandon(std::move(round));
      throw;
    }
    tag_ = 1 - tag_;
    round->from[static_cast<std::size_t>(rank_)] = std::move(round->mine);
    return std::move(round->from);
  }

  void post(Round& round) {
    for (int rank = 0; rank < world_size_; rank++) {
      if (rank == rank_) continue;
      std::string& bytes = round.from[static_cast<std::size_t>(rank)];
      check(MPI_Irecv(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, rank, tag_, ours_,
                      &round.receives[static_cast<std::size_t>(rank)]),
            "MPI_Irecv");
    }
    for (int rank = 0; rank < world_size_; rank++) {
      if (rank == rank_) continue;
      check(MPI_Isend(round.mine.data(), static_cast<int>(round.mine.size()), MPI_BYTE, rank, tag_, ours_,
                      &round.sends[static_cast<std::size_t>(rank)]),
            "MPI_Isend");
    }
  }

  void wait(Round& round, milliseconds patience) const {
    const auto deadline = steady_clock::now() + patience;
    for (;;) {
      // The time first: who was not run for long looks once more.
      const bool is_late = steady_clock::now() >= deadline;
      std::string missing;
      bool is_complete = true;
      for (std::size_t rank = 0; rank < round.from.size(); rank++) {
        const bool has_come = is_done(round.receives[rank]);
        if (is_done(round.sends[rank]) && has_come) continue;
        is_complete = false;
        if (is_late) missing += (missing.empty() ? "rank " : ", rank ") + std::to_string(rank);
      }
      if (is_complete) return;
      if (is_late) {
        throw Error(ErrorCode::kPeer, missing + " said nothing for " + std::to_string(patience.count()) + " ms");
      }
      std::this_thread::sleep_for(kPause);
    }
  }

  int rank_ = 0;
  int world_size_ = 0;
  milliseconds timeout_;
  milliseconds patience_ = std::max(timeout_ / 4, kLeastPatience);
  MPI_Comm ours_ = MPI_COMM_NULL;
  /// Of a round: a communicator may let messages overtake each other, but nobody is two rounds ahead.
  int tag_ = 0;
  bool is_broken_ = false;
  std::string failure_;  ///< Of the call that broke it, where there was room for it.
};

}  // namespace

std::unique_ptr<Bootstrap> meet_over_mpi(MPI_Comm communicator, double timeout_seconds) {
  const milliseconds timeout = check_arguments(communicator, timeout_seconds);
  const auto ranks = std::make_shared<RanksOfMpi>(communicator, timeout);
  // It checks how many ranks there are: before any of them waits.
  auto bootstrap = std::make_unique<CallbackBootstrap>(
      ranks->rank(), ranks->world_size(), [ranks](std::string_view mine) { return ranks->all_gather(mine); });
  ranks->meet(communicator);
  return bootstrap;
}

}  // namespace allnorm
