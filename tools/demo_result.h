// What `allnorm demo` found out about one call, and what several processes found out together.
#ifndef ALLNORM_TOOLS_DEMO_RESULT_H_
#define ALLNORM_TOOLS_DEMO_RESULT_H_

#include <string>
#include <vector>

#include "allnorm/bootstrap.h"
#include "allnorm/types.h"

namespace allnorm::tools {

struct Result {
  Quant quant;
  Strategy strategy;
  double microseconds = 0;        ///< On GPUs.
  double graph_microseconds = 0;  ///< On GPUs.
  double seconds = 0;             ///< Of all calls on the simulator, here.
  int outputs = 0;
  std::vector<std::string> differences;
};

/// Of all ranks, on each: the longest times, and all outputs and differences.
Result merge(Bootstrap& bootstrap, const Result& own);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_DEMO_RESULT_H_
