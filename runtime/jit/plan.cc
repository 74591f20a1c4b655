#include "jit/plan.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "allnorm/error.h"
#include "env/log.h"
#include "jit/specialize.h"

namespace allnorm {

const Plan& PlanStore::get(Device& device, const Spec& spec) {
  return plans_.get({&device, spec}, [&] { return make(device, spec); });
}

void PlanStore::compile(std::span<const Spec> specs, unsigned parallel,
                        std::function<void(const CompileStep&)> on_ready) {
  std::vector<Spec> missing;
  std::copy_if(specs.begin(), specs.end(), std::back_inserter(missing),
               [&](const Spec& spec) { return !kernels_.contains(spec); });
  const auto keep = [&](const CompileStep& step) {
    kernels_.get(step.spec, [&] { return std::make_unique<CompiledKernel>(step.kernel); });
    if (on_ready) on_ready(step);
  };
  CompilePool{compiler_, parallel, keep}.compile_all(missing);
}

std::unique_ptr<Plan> PlanStore::make(Device& device, const Spec& spec) {
  auto plan = std::make_unique<Plan>();
  plan->spec = spec;
  const CompiledKernel& compiled =
      kernels_.get(spec, [&] { return std::make_unique<CompiledKernel>(compiler_.compile(spec)); });
  plan->kernel = load(device, spec, compiled);
  if (plan->kernel->max_resident_clusters() == 0) {
    throw Error(ErrorCode::kUnsupported, "no cluster of this geometry fits on the GPU: " + describe(spec));
  }
  loaded_++;
  return plan;
}

std::unique_ptr<LoadedKernel> PlanStore::load(Device& device, const Spec& spec, const CompiledKernel& compiled) {
  try {
    return device.load(compiled.binary, compiled.entry_name, launch_shape(spec));
  } catch (const Error& error) {
    const bool is_kept = compiled.from_disk_cache || compiled.prebuilt;
    if (!is_kept || error.code() != ErrorCode::kDriver) throw;
    // A binary that does not load is a miss: take another, which in the user's cache replaces it.
    log::warn("cache: a kept kernel does not load ({}); looking for another", error.what());
    return load(device, spec, compiler_.compile_instead_of(compiled, spec, error.what()));
  }
}

}  // namespace allnorm
