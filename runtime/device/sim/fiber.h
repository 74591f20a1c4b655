// Fibers: a stack and a place to go on for each simulated CUDA thread. Boost.Context switches; the sanitizers are told.
//
// A fiber that has not ended can be dropped without being unwound: kernels own nothing.
#ifndef ALLNORM_DEVICE_SIM_FIBER_H_
#define ALLNORM_DEVICE_SIM_FIBER_H_

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <vector>

namespace allnorm::sim {

class Fiber;

/// Stacks from slabs, used again; memory is taken from the system where a stack is first touched.
class FiberStacks {
 public:
  FiberStacks() = default;
  ~FiberStacks();
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;

  static std::size_t stack_bytes() noexcept;
  /// The lowest address of a stack. Throws std::bad_alloc.
  std::byte* acquire();
  void release(std::byte* stack) { free_.push_back(stack); }

 private:
  std::vector<std::byte*> slabs_;
  std::vector<std::byte*> free_;
};

/// The thread of the host that runs fibers, while one of them runs.
class FiberHost {
 public:
  /// Runs the fiber until it suspends or ends.
  void resume(Fiber& fiber);

 private:
  friend class Fiber;
  boost::context::detail::fcontext_t context_ = nullptr;
  [[maybe_unused]] void* sanitizer_ = nullptr;
  [[maybe_unused]] const void* stack_ = nullptr;
  [[maybe_unused]] std::size_t stack_bytes_ = 0;
};

class Fiber {
 public:
  using Function = void (*)(void* argument);

  /// Not started before it is first resumed.
  void start(std::byte* stack, Function function, void* argument);
  /// The stack, to be given back. The fiber must not be the one that runs.
  std::byte* stop() noexcept;
  bool is_started() const noexcept { return stack_ != nullptr; }

  /// Called on the fiber: goes on with whoever resumed it.
  void suspend();
  /// The last thing that a fiber does.
  [[noreturn]] void end();
  /// Whether it wrote past the end of its stack. Looked at when it is not running.
  bool overflowed() const noexcept;

 private:
  friend class FiberHost;
  static void enter(boost::context::detail::transfer_t transfer);
  void leave(bool for_ever);

  std::byte* stack_ = nullptr;
  boost::context::detail::fcontext_t context_ = nullptr;
  FiberHost* host_ = nullptr;
  Function function_ = nullptr;
  void* argument_ = nullptr;
  [[maybe_unused]] void* sanitizer_ = nullptr;
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_FIBER_H_
