// A workspace of more than 4 GiB, to its last token; and suspend() and resume(), after which graphs replay as before.
// In one process, or with a process for each rank.
#include <fmt/format.h>

#include "catch.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

constexpr std::int64_t kTokens = 4200;
constexpr std::size_t kSixGiB = std::size_t{6} << 30;

void check_right(Session& session, const std::vector<std::unique_ptr<GpuGraph>>& graphs) {
  session.refill();
  session.meet();
  for (const auto& graph : graphs) graph->launch();
  session.wait();
  for (const Failure& failure : session.verify_loaded()) FAIL_CHECK(describe(failure));
}

TEST_CASE("6 GiB are right to the last token, and graphs replay after suspend() and resume()",
          "[.][two_gpus][rank][suspend]") {
  if (!has_gpus(2)) return;
  WorldOptions options;
  options.devices = devices_for(2, false);
  options.max_row_bytes = std::int64_t{65536} * 4;
  options.max_tokens_one_shot = kTokens;
  options.timeout_seconds = 20;
  REQUIRE(static_cast<std::size_t>(Workspace::required_bytes(options)) > kSixGiB);
  Session session(options);
  Case c;
  c.seed = 5;
  c.world_size = 2;
  c.hidden_dim = 1024;
  c.quant = Quant::kNvfp4;
  c.tokens = kTokens;
  session.load({&c, 1});
  session.prepare();
  std::vector<std::unique_ptr<GpuGraph>> graphs;
  for (int rank = 0; rank < session.size(); ++rank) {
    graphs.push_back(std::make_unique<GpuGraph>(session.stream(rank), [&] { session.enqueue(0, rank); }));
    graphs.back()->upload();
  }
  for (int replay = 0; replay < 4; ++replay) check_right(session, graphs);
  for (int round = 0; round < 3; ++round) {
    Gpu& gpu = session.stream(0).gpu();
    const std::size_t before = gpu.free_bytes();
    session.world().suspend();
    const std::size_t suspended = gpu.free_bytes();
    fmt::print("{:.2f} GiB more are free while it is suspended\n",
               static_cast<double>(suspended - before) / static_cast<double>(std::size_t{1} << 30));
    CHECK(suspended >= before + kSixGiB);
    CHECK_THROWS_AS(session.enqueue(0, 0), Error);
    session.world().resume();
    CHECK(session.workspace(0).status().healthy);
    for (int replay = 0; replay < 4; ++replay) check_right(session, graphs);
  }
}

}  // namespace
}  // namespace allnorm::gpu_tests
