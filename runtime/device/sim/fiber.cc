#include "device/sim/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <exception>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace allnorm::sim {
namespace {

// Kernels' frames are small; what the simulator does on a fiber, messages included, fits as well.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kStackBytes = 256 << 10;
#else
constexpr std::size_t kStackBytes = 32 << 10;
#endif
constexpr std::size_t kStacksPerSlab = 256;
constexpr std::uint64_t kCanary = 0x5AFE57AC4B0770A1;

}  // namespace

FiberStacks::~FiberStacks() {
  for (std::byte* slab : slabs_) munmap(slab, kStackBytes * kStacksPerSlab);
}

std::size_t FiberStacks::stack_bytes() noexcept { return kStackBytes; }

std::byte* FiberStacks::acquire() {
  if (free_.empty()) {
    constexpr std::size_t kBytes = kStackBytes * kStacksPerSlab;
    void* slab = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab == MAP_FAILED) throw std::bad_alloc();
    slabs_.push_back(static_cast<std::byte*>(slab));
    for (std::size_t i = kStacksPerSlab; i-- > 0;) free_.push_back(slabs_.back() + i * kStackBytes);
  }
  std::byte* stack = free_.back();
  free_.pop_back();
  return stack;
}

void Fiber::start(std::byte* stack, Function function, void* argument) {
  stack_ = stack;
  function_ = function;
  argument_ = argument;
  std::memcpy(stack, &kCanary, sizeof(kCanary));
  context_ = boost::context::detail::make_fcontext(stack + kStackBytes, kStackBytes, &Fiber::enter);
#if defined(__SANITIZE_THREAD__)
  sanitizer_ = __tsan_create_fiber(0);
#endif
}

std::byte* Fiber::stop() noexcept {
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(sanitizer_);
#endif
#if defined(__SANITIZE_ADDRESS__)
  // Frames that were dropped left their red zones behind.
  __asan_unpoison_memory_region(stack_, kStackBytes);
#endif
  sanitizer_ = nullptr;
  std::byte* stack = stack_;
  stack_ = nullptr;
  return stack;
}

bool Fiber::overflowed() const noexcept { return std::memcmp(stack_, &kCanary, sizeof(kCanary)) != 0; }

void FiberHost::resume(Fiber& fiber) {
  fiber.host_ = this;
#if defined(__SANITIZE_THREAD__)
  sanitizer_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber.sanitizer_, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, fiber.stack_, kStackBytes);
#endif
  const auto transfer = boost::context::detail::jump_fcontext(fiber.context_, &fiber);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  fiber.context_ = transfer.fctx;
}

void Fiber::enter(boost::context::detail::transfer_t transfer) {
  auto* self = static_cast<Fiber*>(transfer.data);
  self->host_->context_ = transfer.fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->host_->stack_, &self->host_->stack_bytes_);
#endif
  self->function_(self->argument_);
  self->end();
}

void Fiber::leave(bool for_ever) {
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(host_->sanitizer_, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_ever ? nullptr : &sanitizer_, host_->stack_, host_->stack_bytes_);
#else
  static_cast<void>(for_ever);
#endif
  const auto transfer = boost::context::detail::jump_fcontext(host_->context_, nullptr);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(sanitizer_, &host_->stack_, &host_->stack_bytes_);
#endif
  host_->context_ = transfer.fctx;
}

void Fiber::suspend() { leave(false); }

void Fiber::end() {
  leave(true);
  std::terminate();  // an ended fiber is not resumed
}

}  // namespace allnorm::sim
