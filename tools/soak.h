// The parts of `allnorm soak`.
#ifndef ALLNORM_TOOLS_SOAK_H_
#define ALLNORM_TOOLS_SOAK_H_

#include <cstdint>

namespace allnorm::tools {

struct SoakOptions {
  std::int64_t calls = 1'000'000;
  std::int64_t seconds = 0;  ///< 0: no limit.
  int cases = 2000;
  int ranks = 2;  ///< Of this process; a launcher's processes have one each.
  int spawn = 0;
  std::int64_t max_tokens = 512;
  std::uint64_t seed = 0;  ///< 0: a new one.
  bool json = false;
};

/// An exit code.
int run_soak(const SoakOptions& options);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_SOAK_H_
