// The parts of `allnorm doctor`. Each adds what it finds and never throws for what is missing.
#ifndef ALLNORM_TOOLS_DOCTOR_H_
#define ALLNORM_TOOLS_DOCTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "device/cuda/driver.h"
#include "dispatch/spec.h"
#include "env/env.h"
#include "findings.h"
#include "jit/kernel_sources.h"

namespace allnorm::tools {

struct Gpu {
  int ordinal = 0;
  CUdevice handle = 0;
  std::string name;
  Target target = Target::kSm90a;
};

/// The environment as far as it is valid: what is not is reported, and counts as not set.
Env examine_environment(Findings& findings);
void examine_cache(const Env& env, Findings& findings);
void examine_table(const Env& env, const std::vector<Gpu>& gpus, const std::string& kernel_digest, Findings& findings);

/// Null where there is none.
std::shared_ptr<const cuda::Driver> examine_driver(const Env& env, Findings& findings);
/// Those that there are kernels for; the others are reported.
std::vector<Gpu> examine_gpus(const cuda::Driver& driver, Findings& findings);
void examine_links(const cuda::Driver& driver, const std::vector<Gpu>& gpus, Findings& findings);
void examine_memory_features(const cuda::Driver& driver, const std::vector<Gpu>& gpus, const Env& env,
                             Findings& findings);

/// A target that a GPU here needs and that cannot be compiled for is a failure, another a warning.
void examine_nvrtc(const Env& env, const std::vector<Gpu>& gpus, const KernelSources* sources, Findings& findings);
/// The compiler of the simulator's kernels; whether there is one that works. Never a failure: a fused call on GPUs does
/// without.
bool examine_host_compiler(const Env& env, const KernelSources* sources, Findings& findings);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_DOCTOR_H_
