// The parts of `allnorm simulate`.
#ifndef ALLNORM_TOOLS_SIMULATE_H_
#define ALLNORM_TOOLS_SIMULATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "allnorm/types.h"
#include "device/sim/schedule.h"
#include "dispatch/spec.h"
#include "sim/mutations.h"
#include "sim/scenario.h"

namespace allnorm::tools {

/// What is not given is the scenario's.
struct SimulateShape {
  std::optional<int> world_size;
  std::optional<int> calls;
  std::optional<int> ranks_per_gpu;
  std::optional<unsigned> multiprocessors;
  std::optional<Transport> transport;
  std::optional<Pdl> pdl;
  // Call i takes element i modulo the length.
  std::vector<std::int64_t> tokens;
  std::vector<int> hidden_dims;
  std::vector<DataType> dtypes;
  std::vector<Quant> quants;
  std::vector<Strategy> strategies;
  std::vector<Operation> operations;
};

struct SimulateOptions {
  SimulateShape shape;
  std::string scenario;  ///< Empty: the mutation's, or the standard one.
  std::string mutation;  ///< Empty: none.
  std::optional<std::uint64_t> seeds;
  std::uint64_t first_seed = 1;
  sim::Schedule schedule;  ///< Of every run, but for the seed.
  bool exhaustive = false;
  std::uint64_t limit = 100'000;  ///< Of schedules of an exhaustive search.
  int jobs = 0;                   ///< 0: a thread a core.
  bool list = false;
  bool mutation_table = false;
  bool json = false;
  std::string command;  ///< "allnorm simulate ...", with all that decides a run but the seeds.
};

/// What the options ask for, checked. Throws UsageError.
sim_tests::Scenario make_scenario(const SimulateOptions& options);
/// Null without one. Throws UsageError.
const sim_tests::Mutation* find_mutation(const SimulateOptions& options);

// Exit codes.
int list_mutations(bool json);
int print_mutation_table(const SimulateOptions& options);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_SIMULATE_H_
