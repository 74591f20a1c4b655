// Each fault that breaks a rule of the protocol is found within a few seeds, and without it the same runs pass.
#include <fmt/format.h>

#include <set>
#include <string>
#include <string_view>

#include "catch.h"
#include "sim/mutations.h"

namespace allnorm::sim_tests {
namespace {

/// Takes 12 GiB of addresses a GPU, tagged for what has fewer.
constexpr std::string_view kLarge = "offsets_in_32_bits";
constexpr std::uint64_t kSeeds = 64;
constexpr std::uint64_t kStepBudget = 20'000'000;

sim::Schedule schedule_of(std::uint64_t seed) {
  sim::Schedule schedule;
  schedule.seed = seed;
  schedule.step_budget = kStepBudget;
  return schedule;
}

/// What the first failing seed gives, with the seed; empty if none fails.
std::string first_failure(const Mutation& mutation, bool mutated) {
  Simulation::Options options;
  if (mutated) options.mutation = mutation.replacements;
  Simulation simulation(scenario_of(mutation, mutated), options);
  for (std::uint64_t seed = 1; seed <= kSeeds; seed++) {
    const std::string failure = simulation.run(schedule_of(seed));
    if (!failure.empty()) return fmt::format("seed {}: {}", seed, failure);
  }
  return "";
}

void check_caught(const Mutation& mutation) {
  INFO("allnorm simulate --mutation " << mutation.name);
  const std::string failure = first_failure(mutation, true);
  fmt::print("{:32} {}\n", mutation.name, failure.substr(0, failure.find('\n')));
  CHECK(failure != "");
  CHECK(failure.find(mutation.shows) != std::string::npos);
}

TEST_CASE("without a mutation every scenario of the mutations passes") {
  std::set<Scenario (*)()> done;
  for (const Mutation& mutation : mutations()) {
    if (mutation.name == kLarge || !done.insert(mutation.scenario).second) continue;
    INFO("allnorm simulate --scenario " << mutation.name);
    CHECK(first_failure(mutation, false) == "");
  }
}

TEST_CASE("every mutation is caught") {
  for (const Mutation& mutation : mutations()) {
    if (mutation.name != kLarge) check_caught(mutation);
  }
}

TEST_CASE("a mutation of large buffers is caught, and without it they pass", "[native]") {
  std::size_t found = 0;
  for (const Mutation& mutation : mutations()) {
    if (mutation.name != kLarge) continue;
    found++;
    CHECK(first_failure(mutation, false) == "");
    check_caught(mutation);
  }
  CHECK(found == 1);
}

}  // namespace
}  // namespace allnorm::sim_tests
