#include "jit/plan.h"

#include "allnorm/error.h"
#include "env/log.h"
#include "jit/specialize.h"

namespace allnorm {

const Plan& PlanStore::get(Device& device, const Spec& spec) {
  std::promise<std::unique_ptr<Plan>> promise;
  std::shared_future<std::unique_ptr<Plan>> future;
  bool ours = false;
  {
    const std::lock_guard lock(mutex_);
    const auto [at, inserted] = plans_.try_emplace(Key{&device, spec});
    if (inserted) at->second = promise.get_future().share();
    future = at->second;
    ours = inserted;
  }
  if (ours) {
    try {
      promise.set_value(make(device, spec));
    } catch (...) {
      {
        // Whoever waits gets this failure; who asks later tries again, since the cause may have passed.
        const std::lock_guard lock(mutex_);
        plans_.erase(Key{&device, spec});
      }
      promise.set_exception(std::current_exception());
    }
  }
  return *future.get();
}

std::unique_ptr<Plan> PlanStore::make(Device& device, const Spec& spec) {
  auto plan = std::make_unique<Plan>();
  plan->spec = spec;
  CompiledKernel compiled = compiler_.compile(spec);
  const LaunchShape shape = launch_shape(spec);
  try {
    plan->kernel = device.load(compiled.binary, compiled.entry_name, shape);
  } catch (const Error& error) {
    const bool is_kept = compiled.from_disk_cache || compiled.prebuilt;
    if (!is_kept || error.code() != ErrorCode::kDriver) throw;
    // A binary that does not load is a miss: compile it again, and replace it.
    log::warn("cache: a kept kernel does not load ({}); compiling it again", error.what());
    compiled = compiler_.compile_anew(spec);
    plan->kernel = device.load(compiled.binary, compiled.entry_name, shape);
  }
  if (plan->kernel->max_resident_clusters() == 0) {
    throw Error(ErrorCode::kUnsupported, "no cluster of this geometry fits on the GPU: " + describe(spec));
  }
  loaded_++;
  return plan;
}

}  // namespace allnorm
