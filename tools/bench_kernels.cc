#include "bench_kernels.h"

#include <utility>
#include <vector>

#include "bench_kernels_source.h"
#include "env/env.h"
#include "jit/nvrtc.h"
#include "jit/specialize.h"

namespace allnorm::tools {

// Loaded at once: a load may wait for a kernel that runs. The module stays until the process ends.
BenchKernels::BenchKernels(const cuda::CudaDevice& device) {
  const cuda::Driver& driver = device.driver();
  const cuda::CurrentContext current(driver, device.context());
  const auto nvrtc = Nvrtc::load(Env::from_process().nvrtc_path);
  const Nvrtc::Result binary =
      nvrtc->compile(kBenchKernelsSource, "allnorm_bench.cu", {}, compile_options(device.target()));
  CUmodule module = nullptr;
  driver.check(driver.cuModuleLoadData(&module, binary.cubin.data()), "cuModuleLoadData");
  const std::pair<const char*, CUfunction*> functions[] = {
      {"empty", &empty}, {"write", &write}, {"store", &store}, {"ping_pong", &ping_pong}};
  for (const auto& [name, function] : functions) {
    driver.check(driver.cuModuleGetFunction(function, module, name), name);
    driver.check(driver.cuFuncLoad(*function), name);
  }
}

}  // namespace allnorm::tools
