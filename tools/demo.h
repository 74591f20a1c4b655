// The parts of `allnorm demo`.
#ifndef ALLNORM_TOOLS_DEMO_H_
#define ALLNORM_TOOLS_DEMO_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "allnorm/types.h"
#include "device/cuda/driver.h"

namespace allnorm::tools {

struct DemoOptions {
  int ranks = 0;  ///< 0: two.
  std::int64_t tokens = 128;
  int hidden_dim = 7168;
  DataType dtype = DataType::kBF16;
  std::uint64_t seed = 1;
  bool json = false;
};

/// The strategies that differ for a world of this size.
std::vector<Strategy> demo_strategies(int ranks);

/// Runs every call on these GPUs, one for each rank, and verifies all outputs. An exit code.
int run_on_gpus(const DemoOptions& options, std::shared_ptr<const cuda::Driver> driver, const std::vector<int>& gpus);

/// Compiles the kernels of the same calls for all targets, since nothing can run: `reason` says why. An exit code.
int compile_only(const DemoOptions& options, const std::string& reason);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_DEMO_H_
