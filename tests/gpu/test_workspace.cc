// The limits of a workspace: 64-bit sizes, tokens beyond its capacity, calls without tokens.
#include <fmt/format.h>

#include "catch.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

constexpr int kHiddenDim = 65536;

Case large_case(int world_size, std::int64_t tokens, Strategy strategy) {
  Case c;
  c.seed = 5;
  c.world_size = world_size;
  c.hidden_dim = kHiddenDim;
  c.dtype = c.gamma_dtype = DataType::kF32;
  c.tokens = tokens;
  c.strategy = strategy;
  return c;
}

TEST_CASE("all tokens of a workspace of more than 4 GiB are right, the last one too", "[.][big]") {
  constexpr std::int64_t kTokens = 3000;
  WorldOptions options;
  options.devices = devices_for(2, Gpu::count() < 2);
  options.max_row_bytes = std::int64_t{kHiddenDim} * 4;
  options.max_tokens_one_shot = options.max_tokens_two_shot = kTokens;
  const std::int64_t bytes = Workspace::required_bytes(options);
  REQUIRE(bytes > std::int64_t{8} << 30);  // 4 GiB for each strategy
  if (!has_memory(2 * static_cast<std::size_t>(bytes) + (std::size_t{10} << 30))) return;
  Session session(options);
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
    Case c = large_case(2, kTokens, strategy);
    c.has_residual_out = false;
    for (const Failure& failure : session.run({&c, 1})) FAIL_CHECK(describe(failure));
  }
  report_json(fmt::format("{{\"test\":\"workspace-big\",\"bytes\":{},\"tokens\":{}}}", bytes, kTokens));
}

TEST_CASE("tensors of more than 4 GiB are right to the last byte", "[.][big]") {
  constexpr std::int64_t kTokens = 17000;
  if (!has_memory(std::size_t{30} << 30)) return;
  WorldOptions options;
  options.devices = {0};
  Session session(options);
  Case c = large_case(1, kTokens, Strategy::kOneShot);
  REQUIRE(c.elements() * 4 > std::int64_t{4} << 30);
  c.has_residual_out = false;
  c.quant = Quant::kDynamicFp8;
  for (const Failure& failure : session.run({&c, 1})) FAIL_CHECK(describe(failure));
  report_json(fmt::format("{{\"test\":\"tensors-big\",\"bytes\":{}}}", c.elements() * 4));
}

WorldOptions small_options() {
  WorldOptions options;
  options.devices = {0, 0};
  options.max_row_bytes = 4096;
  options.max_tokens_one_shot = 5;
  options.max_tokens_two_shot = 7;
  options.timeout_seconds = 5;
  return options;
}

Case small_case(Strategy strategy, std::int64_t tokens) {
  Case c;
  c.seed = 3;
  c.hidden_dim = 2048;
  c.strategy = strategy;
  c.tokens = tokens;
  return c;
}

TEST_CASE("a call with more tokens than the workspace holds says how many it holds", "[virtual][workspace]") {
  Session session(small_options());
  for (const auto& [strategy, most] : {std::pair(Strategy::kOneShot, 5), std::pair(Strategy::kTwoShot, 7)}) {
    CHECK(session.workspace(0).max_tokens(strategy, 2048, DataType::kBF16) == most);
    CHECK(session.workspace(0).max_tokens(strategy, 2048, DataType::kF32) == 0);
    const std::vector<Case> cases = {small_case(strategy, most), small_case(strategy, most + 1)};
    session.load(cases);
    try {
      session.enqueue(1, 0);
      FAIL("the call was accepted");
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(error.code() == ErrorCode::kCapacity);
      CHECK(std::string(error.what()).find(std::to_string(most)) != std::string::npos);
    }
    for (const Failure& failure : session.run({cases.data(), 1})) FAIL_CHECK(describe(failure));
  }
}

TEST_CASE("a call without tokens launches nothing and changes no state", "[virtual][workspace]") {
  Session session(small_options());
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
    const std::vector<Case> cases = {small_case(strategy, 0), small_case(strategy, 3)};
    session.load(cases);
    session.prepare();
    const GpuGraph graph(session.stream(0), [&] { session.enqueue(0, 0); });
    CHECK(graph.nodes() == 0);
    // Only one rank makes the calls without tokens, so that a state that changed would no longer fit its peer's.
    for (int round = 0; round < 4; ++round) {
      session.refill();
      session.enqueue(0, 0);
      for (int rank = 0; rank < 2; ++rank) session.enqueue(1, rank);
      session.wait();
      for (const Failure& failure : session.verify_loaded()) FAIL_CHECK(describe(failure));
    }
  }
}

}  // namespace
}  // namespace allnorm::gpu_tests
