#include "gpu/refused.h"

#include <fmt/format.h>

#include <algorithm>

#include "catch.h"
#include "error_of.h"

namespace allnorm::gpu_tests {
namespace {

using testing::error_of;

constexpr std::int64_t kOneShotTokens = 5;
constexpr std::int64_t kTwoShotTokens = 7;

}  // namespace

WorldOptions refusable_options(std::vector<int> devices) {
  WorldOptions options;
  options.devices = std::move(devices);
  options.max_row_bytes = 4096;
  options.max_tokens_one_shot = kOneShotTokens;
  options.max_tokens_two_shot = kTwoShotTokens;
  options.timeout_seconds = 5;
  return options;
}

Case refusable_case(Strategy strategy, std::int64_t tokens) {
  Case c;
  c.seed = 7;
  c.hidden_dim = 2048;
  c.quant = Quant::kNvfp4;
  c.layout = ScaleLayout::kSwizzled128x4;
  c.scale_by_pointer = true;
  c.output_scale = 3.0F;
  c.strategy = strategy;
  c.tokens = tokens;
  return c;
}

std::string capacity_message(std::int64_t tokens, Strategy strategy) {
  const bool one_shot = strategy == Strategy::kOneShot;
  return fmt::format("input: {} tokens were given; this workspace holds {}", tokens,
                     one_shot ? "5 for one_shot (WorldOptions::max_tokens_one_shot)"
                              : "7 for two_shot (WorldOptions::max_tokens_two_shot)");
}

void load(Session& session, const std::vector<Case>& cases) { session.load(cases); }

void prepare_first(Session& session) {
  for (int rank = 0; rank < session.size(); ++rank) prepare_call(session.workspace(rank), session.call(0, rank));
}

void check_untouched(Session& session) {
  for (int rank = 0; rank < session.size(); ++rank) {
    INFO(fmt::format("rank {}", rank));
    REQUIRE(session.stream(rank).wait(1));
    std::vector<std::uint8_t> outputs(session.output_bytes());
    session.stream(rank).gpu().device().synchronize();
    session.stream(rank).gpu().device().copy_to_host(outputs.data(), session.memory(rank), outputs.size());
    CHECK(std::all_of(outputs.begin(), outputs.end(), [](std::uint8_t byte) { return byte == kPoison; }));
    const WorkspaceStatus status = session.workspace(rank).status();
    CHECK(status.healthy);
    CHECK(status.message == "healthy");
  }
}

void check_refused(Session& session, int rank, const AnyCall& call, Stream stream, ErrorCode code,
                   const std::string& message) {
  const std::uint64_t loaded = shared_context().statistics().loaded;
  CHECK(error_of(code, [&] { enqueue(session.workspace(rank), call, stream); }) == message);
  CHECK(shared_context().statistics().loaded == loaded);
  check_untouched(session);
}

void check_not_prepared(Session& session, int rank, const AnyCall& call, ErrorCode code, const std::string& message) {
  const std::uint64_t loaded = shared_context().statistics().loaded;
  CHECK(error_of(code, [&] { prepare_call(session.workspace(rank), call); }) == message);
  CHECK(shared_context().statistics().loaded == loaded);
  check_untouched(session);
}

void check_right(Session& session) {
  prepare_first(session);
  for (int rank = 0; rank < session.size(); ++rank) session.enqueue(0, rank);
  check_right_results(session);
}

void check_right_results(Session& session) {
  session.wait();
  for (const Failure& failure : session.verify_loaded()) FAIL_CHECK(describe(failure));
}

BlockingStream::BlockingStream(Gpu& gpu) : gpu_(gpu) {
  const cuda::CurrentContext current(gpu.driver(), gpu.device().context());
  gpu.check(gpu.driver().cuStreamCreate(&stream_, CU_STREAM_DEFAULT), "cuStreamCreate");
}

BlockingStream::~BlockingStream() {
  const cuda::CurrentContext current(gpu_.driver(), gpu_.device().context());
  gpu_.driver().cuStreamDestroy(stream_);
}

}  // namespace allnorm::gpu_tests
