// Loops over all threads of the host.
#ifndef ALLNORM_TESTS_CALLS_PARALLEL_H_
#define ALLNORM_TESTS_CALLS_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace allnorm::calls {

inline unsigned host_threads() { return std::max(1U, std::thread::hardware_concurrency()); }

/// work(i, thread) for every i below count, in any order; the first exception is thrown after all threads have ended.
template <typename Work>
void parallel_for(std::size_t count, unsigned threads, Work work) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto loop = [&](unsigned thread) {
    try {
      for (std::size_t i = next++; i < count; i = next++) work(i, thread);
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (unsigned thread = 1; thread < threads && thread < count; ++thread) others.emplace_back(loop, thread);
    loop(0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace allnorm::calls

#endif  // ALLNORM_TESTS_CALLS_PARALLEL_H_
