// What is left of a figure that was measured many times.
#ifndef ALLNORM_TOOLS_SUMMARY_H_
#define ALLNORM_TOOLS_SUMMARY_H_

#include <algorithm>
#include <cstddef>
#include <vector>

namespace allnorm::tools {

struct Summary {
  double median = 0;
  double quartile_spread = 0;  ///< From the lower quartile to the upper one.
};

/// Of at least one sample.
inline Summary summarize(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const std::size_t count = samples.size();
  return {samples[count / 2], samples[count * 3 / 4] - samples[count / 4]};
}

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_SUMMARY_H_
