// What a process of `allnorm warm` and its workers say to each other: a Spec a line, as JSON, and for each an answer.
#ifndef ALLNORM_TOOLS_WARM_WORKER_H_
#define ALLNORM_TOOLS_WARM_WORKER_H_

#include <string>
#include <vector>

#include "dispatch/spec.h"
#include "warm_place.h"

namespace allnorm::tools {

struct WarmAnswer {
  std::string error;  ///< Empty: it was made.
  MadeKernel kernel;
};

/// The command line of a worker for this place, from its subcommand on.
std::vector<std::string> worker_arguments(const WarmPlace& place);

/// The kernel's Spec, which both sides know, is not in the answer.
WarmAnswer parse_answer(const Spec& spec, const std::string& line);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_WARM_WORKER_H_
