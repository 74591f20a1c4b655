// The parts of `allnorm demo`.
#ifndef ALLNORM_TOOLS_DEMO_H_
#define ALLNORM_TOOLS_DEMO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "allnorm/bootstrap.h"
#include "allnorm/types.h"
#include "demo_place.h"
#include "demo_specs.h"

namespace allnorm::tools {

struct DemoOptions {
  DemoShape shape;
  DemoDevice device = DemoDevice::kAuto;
  std::uint64_t seed = 1;
  bool compile_only = false;
  bool json = false;
  int spawn = 0;  ///< So many processes, a rank each; 0: all ranks in this one, or what a launcher says.
};

/// Runs every call there and verifies all outputs. `bootstrap` is that of the ranks' processes, or null where all ranks
/// are in this one. An exit code.
int run_demo(const DemoOptions& options, const DemoPlace& place, Bootstrap* bootstrap);

/// Compiles the kernels of the same calls for all GPU targets, and runs none. An exit code.
int compile_only(const DemoOptions& options);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_DEMO_H_
