// Measures what the floor is made of.
#ifndef ALLNORM_TOOLS_MEASURE_FLOOR_H_
#define ALLNORM_TOOLS_MEASURE_FLOOR_H_

#include <vector>

#include "allnorm/bootstrap.h"
#include "floor.h"

namespace allnorm::tools {

/// `gpus`: of the ranks of this process. `bootstrap`: null where all ranks are here. All ranks do this together. The
/// best of several tries, of the slowest rank.
///
/// With more than two ranks, the latency is still that between ranks 0 and 1; for the rates, all ranks send at the same
/// time to all of their peers, as much to each, and what counts is what leaves one rank.
Floor measure_floor(const std::vector<int>& gpus, Bootstrap* bootstrap);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_MEASURE_FLOOR_H_
