// What a Context is inside.
#ifndef ALLNORM_API_CONTEXT_IMPL_H_
#define ALLNORM_API_CONTEXT_IMPL_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "allnorm/context.h"
#include "device/cuda/driver.h"
#include "device/device.h"
#include "dispatch/table.h"
#include "env/env.h"
#include "jit/compiler.h"
#include "jit/plan.h"

namespace allnorm {

namespace sim {
class Machine;
struct MachineOptions;
}  // namespace sim

class Context::Impl {
 public:
  explicit Impl(const ContextOptions& options);
  /// For tests and tools: on this simulated machine, in this environment.
  Impl(const ContextOptions& options, const Env& env, const sim::MachineOptions& machine);

  /// Opened when first asked for. Throws kInvalidArgument, naming the argument, if there is no such GPU; kUnsupported.
  Device& device(int ordinal, const char* argument = "devices");
  int device_count() const noexcept { return static_cast<int>(devices_.size()); }
  /// Of the simulated GPUs, for tests and tools; null on real ones.
  sim::Machine* machine() const noexcept { return machine_.get(); }
  /// The tuned table for a GPU of this name, if there is one; its warnings are logged.
  std::optional<Table> table_for(const std::string& device_name) const;

  const Env& env() const noexcept { return env_; }
  KernelCompiler& compiler() noexcept { return compiler_; }
  PlanStore& plans() noexcept { return plans_; }

 private:
  void open(const DeviceChoice& choice);
  /// Throws kDriver.
  void open_cuda();
  void open_simulator(const sim::MachineOptions& machine);
  std::unique_ptr<Device> make_device(int ordinal) const;

  Env env_;
  ContextOptions options_;
  // One of these two.
  std::shared_ptr<const cuda::Driver> driver_;
  std::shared_ptr<sim::Machine> machine_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Device>> devices_;
  KernelCompiler compiler_;
  PlanStore plans_;  // after the devices: its kernels are unloaded first
};

}  // namespace allnorm

#endif  // ALLNORM_API_CONTEXT_IMPL_H_
