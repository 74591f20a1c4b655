// The simulator gives the bytes that an H200 gave.
#include <fmt/format.h>

#include <fstream>

#include "calls/recorded.h"
#include "catch.h"
#include "sim/scenario.h"

namespace allnorm::sim_tests {
namespace {

/// Compares a world's calls, all on one World, with what was recorded; returns how many.
std::size_t compare_world(int world_size, const std::string& line) {
  const calls::Recorded recorded = calls::parse_recorded(world_size, line);
  Scenario scenario;
  scenario.world_size = world_size;
  scenario.ranks_per_gpu = world_size;
  scenario.calls = recorded.cases;
  Simulation simulation(scenario, {});
  sim::Schedule schedule;
  schedule.seed = static_cast<std::uint64_t>(world_size);
  CHECK(simulation.run(schedule) == "");
  const auto outputs = simulation.outputs();
  for (std::size_t i = 0; i < recorded.cases.size(); i++) {
    INFO(calls::describe(recorded.cases[i]));
    for (const auto& of_rank : outputs) CHECK(calls::digest_of_outputs(of_rank[i]) == recorded.digests[i]);
  }
  return recorded.cases.size();
}

TEST_CASE("calls recorded on an H200 have the same bytes on the simulator, on every rank") {
  std::ifstream file(ALLNORM_SOURCE_DIR "/tests/calls/recorded/h200.jsonl");
  std::size_t compared = 0;
  std::string line;
  for (int world_size = 1; world_size <= calls::kRecordedWorlds; world_size++) {
    REQUIRE(std::getline(file, line));
    compared += compare_world(world_size, line);
  }
  fmt::print("{} calls compared\n", compared);
  CHECK(compared >= 500);
}

}  // namespace
}  // namespace allnorm::sim_tests
