// A Scenario: calls of a world on a simulated machine; a Simulation runs it under one Schedule after another.
//
// Inputs follow from the cases' seeds, so a Scenario, a mutation and a Schedule say all of a run. One thread a
// Simulation.
#ifndef ALLNORM_TESTS_SIM_SCENARIO_H_
#define ALLNORM_TESTS_SIM_SCENARIO_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "allnorm/context.h"
#include "allnorm/workspace.h"
#include "calls/cases.h"
#include "calls/placement.h"
#include "device/sim/machine.h"
#include "dispatch/spec.h"

namespace allnorm::sim_tests {

struct Scenario {
  int world_size = 2;
  int ranks_per_gpu = 1;
  unsigned multiprocessors = 16;
  bool multicast = false;
  bool checked = false;
  std::string table_path;  ///< For calls with Strategy::kAuto; empty: the cost model.
  std::vector<calls::Case> calls;

  /// 0: the largest row and the most tokens of the calls.
  std::int64_t max_row_bytes = 0;
  std::int64_t max_tokens = 0;
  std::optional<double> timeout_seconds;
  std::optional<Geometry> geometry;  ///< Of all calls; else what the dispatcher says.
  unsigned extra_clusters = 0;       ///< That find no row; past what is resident, if so many are asked for.
  std::vector<int> silent_ranks;     ///< They never call.
  std::vector<sim::Stall> stalls;    ///< In every run.
  /// After the calls, the last one once more on the same tensors with this many tokens.
  std::optional<std::int64_t> again_with_tokens;
  /// So many steps at a time, with a look at every rank's status between; 0: one synchronize.
  std::uint64_t steps_between_looks = 0;

  enum class Outcome : std::uint8_t {
    kReference,  ///< Every rank is healthy and has the bytes of the reference.
    /// Waits are given up: every rank that calls is told, and where a rank never calls, no row has any output.
    kTimeout
  };
  Outcome outcome = Outcome::kReference;
};

/// Three ranks, three tokens and less, eight calls of changing strategy, hidden_dim and dtype, with zeros of both
/// signs.
Scenario standard_scenario();

/// Replaces a part of a file of kernels_src, which must occur in it once.
struct Replacement {
  const char* file;
  const char* original;
  const char* mutated;
};

class Simulation {
 public:
  struct Options {
    std::vector<Replacement> mutation;  ///< Of the kernels; none: as they are.
    std::string cache_directory;        ///< Of compiled kernels; empty: none.
  };
  /// Compiles and loads. Throws Error; std::invalid_argument for a mutation that does not fit the sources.
  Simulation(const Scenario& scenario, const Options& options);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  /// From fresh buffers. Empty if the outcome is the one asked for, else what was wrong.
  std::string run(const sim::Schedule& schedule);
  /// Of the last run.
  sim::Statistics statistics();
  std::vector<sim::Choices::Decision> decisions();
  /// What each rank's Workspace says.
  std::vector<WorkspaceStatus> statuses();
  /// What each rank has in the outputs of each call.
  std::vector<std::vector<std::vector<std::uint8_t>>> outputs();
  /// What AUTO makes of a call.
  Strategy strategy_of(std::size_t call);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace allnorm::sim_tests

#endif  // ALLNORM_TESTS_SIM_SCENARIO_H_
