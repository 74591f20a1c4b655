// Plan: a Spec compiled, loaded on a device and ready to launch; PlanStore: all Plans of a Context.
//
// Plans live as long as the store, so that a pointer to one may be kept. PlanStore: any thread; each Plan is compiled
// and loaded once, whoever asks meanwhile waits for it. A failure is everyone's who waits; the next who asks tries
// again.
#ifndef ALLNORM_JIT_PLAN_H_
#define ALLNORM_JIT_PLAN_H_

#include <atomic>
#include <functional>
#include <memory>
#include <span>

#include "device/device.h"
#include "dispatch/spec.h"
#include "jit/compile_pool.h"
#include "jit/compiler.h"
#include "jit/once_map.h"

namespace allnorm {

struct Plan {
  Spec spec;
  std::unique_ptr<LoadedKernel> kernel;
};

class PlanStore {
 public:
  explicit PlanStore(KernelCompiler& compiler) : compiler_(compiler) {}

  /// Throws kInvalidArgument, kCompiler, kCacheMiss, kDriver, kUnsupported.
  const Plan& get(Device& device, const Spec& spec);

  /// Compiles those of the Specs that no Plan needs yet, several at once, for get() to load; as CompilePool does.
  void compile(std::span<const Spec> specs, unsigned parallel, std::function<void(const CompileStep&)> on_ready);
  std::uint64_t loaded() const noexcept { return loaded_; }

 private:
  std::unique_ptr<Plan> make(Device& device, const Spec& spec);
  std::unique_ptr<LoadedKernel> load(Device& device, const Spec& spec, const CompiledKernel& compiled);

  struct Key {
    const Device* device;
    Spec spec;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return SpecHash()(key.spec) * 31 + std::hash<const void*>()(key.device);
    }
  };

  KernelCompiler& compiler_;
  OnceMap<Spec, CompiledKernel, SpecHash> kernels_;  ///< Once for all devices of a target.
  OnceMap<Key, Plan, KeyHash> plans_;
  std::atomic<std::uint64_t> loaded_ = 0;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_PLAN_H_
