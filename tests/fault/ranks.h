// Ranks: a process each, forked from the test, which say how they fared.
#ifndef ALLNORM_TESTS_FAULT_RANKS_H_
#define ALLNORM_TESTS_FAULT_RANKS_H_

#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <vector>

namespace allnorm::testing {

/// How to have several run_ranks() at a time. With sanitizers one after the other, in the only thread: ThreadSanitizer
/// does not support a process that forks beside other threads, AddressSanitizer's allocator may be locked in the child
/// for ever, and its processes are slow to start.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr std::launch kBesideEachOther = std::launch::deferred;
#else
inline constexpr std::launch kBesideEachOther = std::launch::async;
#endif

struct RankOutcome {
  bool said = false;  ///< False: it was killed, by itself or by run_ranks(), which waits no longer than its limit.
  std::string text;   ///< What its work returned, or "error: " and what it threw.
  double seconds = 0.0;
  int open_files = 0;  ///< More than before its work; -1000 if it said nothing.
};

/// `work` returns what the rank has to say.
std::vector<RankOutcome> run_ranks(int world_size, const std::function<std::string(int rank)>& work,
                                   std::chrono::milliseconds limit = std::chrono::seconds(20));

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_FAULT_RANKS_H_
