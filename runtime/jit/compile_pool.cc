#include "jit/compile_pool.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "env/log.h"

namespace allnorm {
namespace {

/// What the threads of one compile_all() share.
class Work {
 public:
  Work(const CompilePool& pool, std::span<const Spec> specs) : pool_(pool), specs_(specs) {}

  /// Takes Specs until none is left.
  void run() noexcept try {
    for (std::size_t at = next_++; at < specs_.size() && !stopped_; at = next_++) {
      if (const auto kernel = pool_.compiler.compile_unless_busy(specs_[at])) {
        finish(specs_[at], *kernel);
      } else {
        const std::lock_guard lock(mutex_);
        busy_.push_back(&specs_[at]);
      }
    }
    while (const Spec* spec = take_busy()) finish(*spec, pool_.compiler.compile(*spec));
  } catch (...) {
    stopped_ = true;
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  const Spec* take_busy() {
    const std::lock_guard lock(mutex_);
    if (stopped_ || busy_.empty()) return nullptr;
    const Spec* spec = busy_.back();
    busy_.pop_back();
    return spec;
  }

  void finish(const Spec& spec, const CompiledKernel& kernel) {
    const std::lock_guard lock(mutex_);
    done_++;
    if (pool_.on_ready) pool_.on_ready({done_, specs_.size(), spec, kernel});
  }

  const CompilePool& pool_;
  std::span<const Spec> specs_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;
  std::vector<const Spec*> busy_;
  std::size_t done_ = 0;
  std::exception_ptr failure_;
};

unsigned thread_count(unsigned wanted, std::size_t specs) {
  constexpr unsigned kMost = 8;
  if (wanted == 0) wanted = std::clamp(std::thread::hardware_concurrency(), 1u, kMost);
  return static_cast<unsigned>(std::min<std::size_t>(wanted, specs));
}

}  // namespace

void CompilePool::compile_all(std::span<const Spec> specs) const {
  Work work(*this, specs);
  {
    std::vector<std::jthread> threads;
    try {
      // This thread is one of them.
      for (unsigned i = 1; i < thread_count(parallel, specs.size()); i++) threads.emplace_back([&] { work.run(); });
    } catch (const std::system_error& error) {
      log::warn("compiling with {} threads, for no more could be started: {}", threads.size() + 1, error.what());
    }
    work.run();
  }
  work.rethrow();
}

}  // namespace allnorm
