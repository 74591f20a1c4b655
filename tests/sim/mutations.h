// Mutations: faults that break one rule of the protocol each (docs/design.md, section 4), and the scenario in which
// each shows.
#ifndef ALLNORM_TESTS_SIM_MUTATIONS_H_
#define ALLNORM_TESTS_SIM_MUTATIONS_H_

#include <span>
#include <string>
#include <vector>

#include "sim/scenario.h"

namespace allnorm::sim_tests {

struct Mutation {
  const char* name;
  const char* rule;  ///< "3": of section 4.
  const char* what;
  const char* shows;  ///< A part of what a run under it reports.
  std::vector<Replacement> replacements;
  /// Whether more clusters are launched than are resident: no fault of the kernels.
  bool oversized_grid = false;
  Scenario (*scenario)();
};

std::span<const Mutation> mutations();
/// The scenario as it must pass, or with the fault that is not in the kernels.
Scenario scenario_of(const Mutation& mutation, bool mutated);

}  // namespace allnorm::sim_tests

#endif  // ALLNORM_TESTS_SIM_MUTATIONS_H_
