#include "jit/plan.h"

#include "allnorm/error.h"
#include "env/log.h"
#include "jit/specialize.h"

namespace allnorm {

const Plan& PlanStore::get(Device& device, const Spec& spec) {
  return plans_.get({&device, spec}, [&] { return make(device, spec); });
}

std::unique_ptr<Plan> PlanStore::make(Device& device, const Spec& spec) {
  auto plan = std::make_unique<Plan>();
  plan->spec = spec;
  const CompiledKernel& compiled =
      kernels_.get(spec, [&] { return std::make_unique<CompiledKernel>(compiler_.compile(spec)); });
  const LaunchShape shape = launch_shape(spec);
  try {
    plan->kernel = device.load(compiled.binary, compiled.entry_name, shape);
  } catch (const Error& error) {
    const bool is_kept = compiled.from_disk_cache || compiled.prebuilt;
    if (!is_kept || error.code() != ErrorCode::kDriver) throw;
    // A binary that does not load is a miss: compile it again, and replace it.
    log::warn("cache: a kept kernel does not load ({}); compiling it again", error.what());
    const CompiledKernel anew = compiler_.compile_anew(spec);
    plan->kernel = device.load(anew.binary, anew.entry_name, shape);
  }
  if (plan->kernel->max_resident_clusters() == 0) {
    throw Error(ErrorCode::kUnsupported, "no cluster of this geometry fits on the GPU: " + describe(spec));
  }
  loaded_++;
  return plan;
}

}  // namespace allnorm
