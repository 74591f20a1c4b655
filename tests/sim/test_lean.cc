// Lean kernels (kLean in row.cuh): two ranks, a CTA a row, one row at a time. That what runs here is one is asserted
// within its source.
#include <cstdint>
#include <string>

#include "catch.h"
#include "sim/scenario.h"

namespace allnorm::sim_tests {
namespace {

const Replacement kMustBeLean = {"one_shot.cuh", "  for_each_row<OneShot>(params, shared);",
                                 "  static_assert(kLean);\n  for_each_row<OneShot>(params, shared);"};

calls::Case make_case(const Scenario& scenario, std::int64_t tokens, int hidden_dim) {
  calls::Case c;
  c.index = static_cast<std::uint32_t>(scenario.calls.size());
  c.seed = c.index + 40;
  c.hidden_dim = hidden_dim;
  c.pdl = Pdl::kEarlyTrigger;
  c.tokens = tokens;
  return c;
}

sim::Schedule of_seed(std::uint64_t seed) {
  sim::Schedule schedule;
  schedule.seed = seed;
  return schedule;
}

TEST_CASE("lean kernels give the reference's bytes, whatever the row's chunks and the quantization") {
  struct Shape {
    Geometry geometry;
    int hidden_dim;
  };
  // Full chunks on as many warps; and a partial one, with a warp that has none.
  for (const Shape& shape : {Shape{Geometry{1, 17, 1}, 4352}, Shape{Geometry{1, 10, 1}, 2064}}) {
    Scenario scenario;
    scenario.multiprocessors = 1;  // two CTAs
    scenario.geometry = shape.geometry;
    for (const Quant quant : {Quant::kFp8, Quant::kNone, Quant::kDynamicFp8, Quant::kNvfp4}) {
      for (const std::int64_t tokens : {2, 5}) {
        calls::Case c = make_case(scenario, tokens, shape.hidden_dim);
        c.dtype = c.gamma_dtype = quant == Quant::kNone ? DataType::kF16 : DataType::kBF16;
        c.quant = quant;
        c.output_scale = 0.25F;
        scenario.calls.push_back(c);
      }
    }
    Simulation simulation(scenario, {.mutation = {kMustBeLean}, .cache_directory = {}});
    INFO("hidden_dim " << shape.hidden_dim);
    CHECK(simulation.run(of_seed(1)) == "");
  }
}

TEST_CASE("without one of the barriers around a row's scale, the simulator finds a lean kernel wrong") {
  const std::string stored = "store_shared(&shared.row_scale, value);\n  }\n", barrier = "  barrier_row();\n";
  const std::string begin = "ALLNORM_DEVICE float once_a_row(Place place, Shared& shared, Compute compute) {\n";
  for (const std::string& around : {stored, begin}) {
    Scenario scenario;
    scenario.multiprocessors = 1;
    scenario.geometry = Geometry{1, 10, 1};
    scenario.calls.push_back(make_case(scenario, 5, 2064));
    scenario.calls.back().quant = Quant::kDynamicFp8;  // which has two of them
    const std::string whole = around + barrier;
    const Replacement without_barrier = {"finish_row.cuh", whole.c_str(), around.c_str()};
    Simulation simulation(scenario, {.mutation = {kMustBeLean, without_barrier}, .cache_directory = {}});
    std::string failure;
    for (std::uint64_t seed = 1; seed <= 8 && failure.empty(); seed++) failure = simulation.run(of_seed(seed));
    INFO(around << failure);
    CHECK(failure.find("shared memory") != std::string::npos);
  }
}

/// Rows of eight full chunks and one of five vectors, on nine of ten warps; five rows on two CTAs; a second call, which
/// finds what the first has left.
Scenario giving_up() {
  Scenario scenario;
  scenario.multiprocessors = 1;
  scenario.geometry = Geometry{1, 10, 1};
  for (int i = 0; i < 2; i++) scenario.calls.push_back(make_case(scenario, 5, 2088));
  scenario.timeout_seconds = 0.05;
  scenario.outcome = Scenario::Outcome::kTimeout;
  return scenario;
}

/// On both ranks: that rank 0 waited for rank 1, in these rows of the first call.
void check_statuses(Simulation& simulation, std::int64_t first_row, std::int64_t last_row) {
  const std::vector<WorkspaceStatus> statuses = simulation.statuses();
  REQUIRE(statuses.size() == 2);
  for (const WorkspaceStatus& status : statuses) {
    INFO(status.message);
    CHECK(status.code == ErrorCode::kTimeout);
    CHECK(status.rank == 0);
    CHECK(status.waited_for == 1);
    CHECK(status.phase == "one-shot");
    CHECK(status.epoch == 0);
    CHECK(status.row >= first_row);
    CHECK(status.row <= last_row);
  }
}

TEST_CASE("a lean kernel whose peer never calls gives up, tells both ranks, and writes nothing") {
  Scenario scenario = giving_up();
  scenario.silent_ranks = {1};
  Simulation simulation(scenario, {.mutation = {kMustBeLean}, .cache_directory = {}});
  for (std::uint64_t seed = 1; seed <= 8; seed++) {
    INFO("seed " << seed);
    CHECK(simulation.run(of_seed(seed)) == "");
    check_statuses(simulation, 0, 1);
  }
}

TEST_CASE("a lean kernel that lacks one vector gives up, and its poison ends the peer's waits") {
  // Who waits for it: the lane that probes for its warp, a lane that does not, and the last of the row.
  for (const int thread : {63, 40, 260}) {
    // The peer's other warps have sent theirs; it goes on when this rank has given up.
    Scenario scenario = giving_up();
    sim::Stall stall;
    stall.rank = 1;
    stall.cta = 0;
    stall.thread = thread;
    stall.point = "store";
    stall.milliseconds = 1000;
    scenario.stalls = {stall};
    Simulation simulation(scenario, {.mutation = {kMustBeLean}, .cache_directory = {}});
    for (std::uint64_t seed = 1; seed <= 4; seed++) {
      INFO("thread " << thread << ", seed " << seed);
      CHECK(simulation.run(of_seed(seed)) == "");
      check_statuses(simulation, 0, 0);
    }
  }
}

}  // namespace
}  // namespace allnorm::sim_tests
