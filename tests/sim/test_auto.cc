// AUTO chooses both strategies, by the cost model and by a table, and the bytes are those of the strategy it chose.
#include <fmt/format.h>

#include <array>
#include <fstream>

#include "cache_fixture.h"
#include "catch.h"
#include "dispatch/cost_model.h"
#include "sim/scenario.h"

namespace allnorm::sim_tests {
namespace {

using calls::Case;

constexpr std::array kWorlds = {4, 8, 16, 36, 72};

Case make_case(int world_size, std::int64_t tokens, int hidden_dim, Strategy strategy) {
  Case c;
  c.seed = 7;
  c.world_size = world_size;
  c.hidden_dim = hidden_dim;
  c.tokens = tokens;
  c.strategy = strategy;
  c.quant = Quant::kFp8;
  return c;
}

Scenario of_calls(int world_size, std::vector<Case> calls) {
  Scenario scenario;
  scenario.world_size = world_size;
  scenario.multiprocessors = 4;
  for (std::size_t i = 0; i < calls.size(); i++) calls[i].index = static_cast<std::uint32_t>(i);
  scenario.calls = std::move(calls);
  return scenario;
}

/// The fewest tokens from which a link's bandwidth counts more than its latency.
std::int64_t tokens_for_two_shot(int world_size, int hidden_dim) {
  const std::int64_t row_bytes = std::int64_t{hidden_dim} * 2;
  const LinkModel link = link_model(Target::kHost);
  const auto microseconds = [&](Strategy strategy, std::int64_t tokens) {
    return estimate_microseconds(strategy, world_size, tokens, row_bytes, Transport::kUnicast, link);
  };
  std::int64_t tokens = 1;
  while (microseconds(Strategy::kTwoShot, tokens) >= microseconds(Strategy::kOneShot, tokens)) tokens++;
  return tokens;
}

/// Runs AUTO, and each call with the strategy that it must choose; all outputs of all ranks must be equal.
void check(Scenario scenario, const std::vector<Strategy>& expected) {
  Simulation by_auto(scenario, {});
  for (std::size_t i = 0; i < expected.size(); i++) {
    INFO("world size " << scenario.world_size << ", call " << i << ", " << scenario.calls[i].tokens << " tokens");
    CHECK(by_auto.strategy_of(i) == expected[i]);
    scenario.calls[i].strategy = expected[i];
  }
  const sim::Schedule schedule;
  CHECK(by_auto.run(schedule) == "");
  Simulation forced(scenario, {});
  CHECK(forced.run(schedule) == "");
  CHECK(by_auto.outputs() == forced.outputs());
}

TEST_CASE("without a table the cost model chooses one-shot for few tokens and two-shot for many") {
  for (const int world_size : kWorlds) {
    const int hidden_dim = world_size <= 8 ? 4544 : 144;
    const std::int64_t many = tokens_for_two_shot(world_size, hidden_dim);
    check(of_calls(world_size, {make_case(world_size, 1, 16, Strategy::kAuto),
                                make_case(world_size, many, hidden_dim, Strategy::kAuto)}),
          {Strategy::kOneShot, Strategy::kTwoShot});
  }
}

TEST_CASE("a table decides, whatever the cost model would say") {
  const cache::test::Folder folder;
  for (const int world_size : kWorlds) {
    const std::string path = fmt::format("{}/table-{}.json", folder.path(), world_size);
    const char* const geometry = R"("geometry": {"ctas_per_row": 1, "warps_per_cta": 1, "chunks_per_warp": 1})";
    std::ofstream(path) << fmt::format(R"({{"schema": 1,
      "provenance": {{"device": "simulated GPU", "driver": "-", "nvrtc": "-", "kernel_digest": "-",
                      "date": "2026-11-24", "tool": "by hand"}},
      "entries": [{{"world_size": {}, "dtype": "bf16", "hidden_dim": 16, "quant": "fp8", "transport": "unicast",
        "bounds": [{{"max_tokens": 2, "strategy": "two_shot", "microseconds": 1, {}}},
                   {{"max_tokens": null, "strategy": "one_shot", "microseconds": 2, {}}}]}}]}})",
                                       world_size, geometry, geometry);
    Scenario scenario = of_calls(
        world_size, {make_case(world_size, 2, 16, Strategy::kAuto), make_case(world_size, 3, 16, Strategy::kAuto)});
    scenario.table_path = path;
    check(scenario, {Strategy::kTwoShot, Strategy::kOneShot});
  }
}

}  // namespace
}  // namespace allnorm::sim_tests
