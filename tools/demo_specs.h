// The calls of `allnorm demo`, and the kernels that they need: those for the simulator are compiled when the command is
// built, and come with it.
#ifndef ALLNORM_TOOLS_DEMO_SPECS_H_
#define ALLNORM_TOOLS_DEMO_SPECS_H_

#include <cstdint>
#include <vector>

#include "dispatch/spec.h"

namespace allnorm::tools {

inline constexpr std::int64_t kTokensOnGpus = 128;
/// Such that the whole demo takes five to ten seconds. Of more rows than 8, each would get another geometry.
inline constexpr std::int64_t kTokensOnSimulator = 8;

struct DemoShape {
  int ranks = 2;
  std::int64_t tokens = 0;  ///< 0: the default, which depends on what runs them.
  int hidden_dim = 7168;
  DataType dtype = DataType::kBF16;
};

/// The strategies that differ for a world of this size.
std::vector<Strategy> demo_strategies(int ranks);

/// Of every quantization and strategy, for a GPU of so many multiprocessors; each once.
std::vector<Spec> demo_specs(const DemoShape& shape, Target target, int multiprocessors);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_DEMO_SPECS_H_
