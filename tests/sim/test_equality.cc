// Worlds of all sizes give the reference's bytes, in sequences of calls that share nothing from one to the next.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <tuple>

#include "catch.h"
#include "sim/scenario.h"

namespace allnorm::sim_tests {
namespace {

using calls::Case;

constexpr std::size_t kCalls = 30;
constexpr std::uint64_t kSampleSeed = 41;
/// Each costs a compilation.
constexpr std::size_t kKernels = 10;
/// Operations that a call may take the simulator, which does about a million a second. tools/prove-long allows more.
std::int64_t most_operations() {
  const char* const given = std::getenv("ALLNORM_TEST_OPERATIONS");
  return given == nullptr ? 250'000 : std::stoll(given);
}

/// Words stored into peers, and what each thread does for a row, roughly.
std::int64_t operations(const Case& c) {
  constexpr std::int64_t kPerThread = 40;
  const std::int64_t row_words = c.hidden_dim * static_cast<std::int64_t>(size_of(c.dtype)) / 4;
  const std::int64_t threads = (row_words / 4 + 31) / 32 * 32;
  const std::int64_t stored = row_words * (c.world_size - 1) * (c.strategy == Strategy::kOneShot ? c.world_size : 2);
  return c.tokens * (stored + threads * c.world_size * kPerThread);
}

using Kernel = std::tuple<int, DataType, DataType, bool, Quant, ScaleLayout, Strategy, bool, bool, bool, Pdl>;

Kernel kernel_of(const Case& c) {
  return {c.hidden_dim, c.dtype,      c.gamma_dtype,      c.allreduce_only,     c.quant, c.layout,
          c.strategy,   c.has_output, c.has_residual_out, c.zero_scale_padding, c.pdl};
}

std::vector<Case> sequence(int world_size, bool multicast) {
  calls::SampleOptions options;
  options.seed = kSampleSeed + static_cast<std::uint64_t>(world_size) + (multicast ? 1000 : 0);
  options.cases = 2000;
  options.world_size = world_size;
  options.cases_per_kernel = 20;
  options.hidden_dims = {16, 128, 2880, 4544};
  options.tokens = {1, 2, 3, 5};
  std::vector<Case> chosen;
  std::set<Kernel> kernels;
  for (const Case& c : calls::sample_cases(options)) {
    if (chosen.size() == kCalls || operations(c) > most_operations()) continue;
    if (kernels.size() == kKernels && !kernels.contains(kernel_of(c))) continue;
    kernels.insert(kernel_of(c));
    chosen.push_back(c);
  }
  return chosen;
}

struct Axes {
  std::set<int> worlds, hidden_dims;
  std::set<std::int64_t> tokens;
  std::set<std::tuple<DataType, DataType>> dtypes;
  std::set<std::tuple<Quant, ScaleLayout>> quants;
  std::set<std::tuple<Strategy, bool>> ways;
  std::set<Pdl> pdls;

  void add(const Case& c, bool multicast) {
    worlds.insert(c.world_size);
    hidden_dims.insert(c.hidden_dim);
    tokens.insert(c.tokens);
    dtypes.emplace(c.dtype, c.gamma_dtype);
    quants.emplace(c.quant, c.layout);
    ways.emplace(c.strategy, multicast);
    pdls.insert(c.pdl);
  }
};

TEST_CASE("in worlds of 1 to 72 ranks sequences of 30 mixed calls give the reference's bytes, by both transports") {
  Axes axes;
  fmt::print("sample seed {}\n", kSampleSeed);
  for (const int world_size : {1, 2, 3, 4, 6, 8, 12, 16, 36, 72}) {
    for (const bool multicast : {false, true}) {
      Scenario scenario;
      scenario.world_size = world_size;
      scenario.multicast = multicast;
      scenario.multiprocessors = 4;
      scenario.calls = sequence(world_size, multicast);
      REQUIRE(scenario.calls.size() == kCalls);
      for (const Case& c : scenario.calls) axes.add(c, multicast);
      Simulation simulation(scenario, {});
      sim::Schedule schedule;
      schedule.seed = kSampleSeed + static_cast<std::uint64_t>(world_size);
      INFO("world size " << world_size << (multicast ? ", multicast" : ", unicast") << ", sample seed " << kSampleSeed);
      CHECK(simulation.run(schedule) == "");
      const sim::Statistics statistics = simulation.statistics();
      fmt::print("world size {}{}: {} launches, {} steps, {} stores\n", world_size, multicast ? ", multicast" : "",
                 statistics.launches, statistics.steps, statistics.stores);
      std::fflush(stdout);
    }
  }
  CHECK(axes.hidden_dims.size() == 4);
  CHECK(axes.tokens.size() == 4);
  CHECK(axes.dtypes.size() == 5);
  CHECK(axes.quants.size() == 5);
  CHECK(axes.ways.size() == 4);
  CHECK(axes.pdls.size() == 3);
}

TEST_CASE("whatever output_scale a pointer leads to, calls give the reference's bytes") {
  Scenario scenario;
  scenario.calls = calls::extreme_scale_cases(scenario.world_size);
  Simulation simulation(scenario, {});
  CHECK(simulation.run({}) == "");
}

}  // namespace
}  // namespace allnorm::sim_tests
