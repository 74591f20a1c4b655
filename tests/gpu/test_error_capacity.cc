// Workspaces that are too small for a call, and Worlds that cannot be made.
#include <fmt/format.h>

#include <limits>

#include "catch.h"
#include "error_of.h"
#include "gpu/refused.h"
#include "gpu/report.h"

namespace allnorm::gpu_tests {
namespace {

using testing::error_of;

void check_too_many_tokens(Session& session) {
  for (const auto& [strategy, most] : {std::pair(Strategy::kOneShot, 5), std::pair(Strategy::kTwoShot, 7)}) {
    INFO(to_string(strategy));
    for (int rank = 0; rank < session.size(); ++rank) {
      CHECK(session.workspace(rank).max_tokens(strategy, 2048, DataType::kBF16) == most);
      load(session, {refusable_case(strategy, most + 1)});
      const AnyCall call = session.call(0, rank);
      const std::string message = capacity_message(most + 1, strategy);
      check_refused(session, rank, call, session.stream(rank).get(), ErrorCode::kCapacity, message);
      check_not_prepared(session, rank, call, ErrorCode::kCapacity, message);
      // At once: it does not look at all the tokens up to there.
      check_not_prepared(session, rank, with_tokens(call, kMaxCallTokens), ErrorCode::kCapacity,
                         capacity_message(kMaxCallTokens, strategy));

      const auto fused = std::get<FusedCall>(call);
      const AllReduceCall sum{fused.input, fused.output, false, PdlTrigger::kEarly, strategy};
      check_refused(session, rank, sum, session.stream(rank).get(), ErrorCode::kCapacity, message);
      check_not_prepared(session, rank, sum, ErrorCode::kCapacity, message);
    }
    load(session, {refusable_case(strategy, most)});
    check_right(session);
  }
}

TEST_CASE("a call with too many tokens is refused: how many, and how many each strategy holds", "[virtual][errors]") {
  Session session(refusable_options({0, 0}));
  check_too_many_tokens(session);
}

TEST_CASE("on two GPUs a call with too many tokens is refused as well", "[.][two_gpus][errors]") {
  if (!has_gpus(2)) return;
  Session session(refusable_options({0, 1}));
  check_too_many_tokens(session);
}

TEST_CASE("strategy auto takes the strategy that holds the tokens, and is refused if none does", "[virtual][errors]") {
  Session session(refusable_options({0, 0}));
  load(session, {refusable_case(Strategy::kAuto, 8)});
  CHECK(session.workspace(0).max_tokens(Strategy::kAuto, 2048, DataType::kBF16) == 7);
  const std::string message = error_of(ErrorCode::kCapacity, [&] { session.enqueue(0, 0); });
  CHECK((message == capacity_message(8, Strategy::kOneShot) || message == capacity_message(8, Strategy::kTwoShot)));
  check_untouched(session);
  load(session, {refusable_case(Strategy::kAuto, 7)});
  check_right(session);
}

TEST_CASE("a strategy that the World was made without holds 0 tokens", "[virtual][errors]") {
  WorldOptions options = refusable_options({0, 0});
  options.max_tokens_one_shot = 0;
  Session session(options);
  load(session, {refusable_case(Strategy::kOneShot, 1)});
  check_refused(session, 0, session.call(0, 0), session.stream(0).get(), ErrorCode::kCapacity,
                "input: 1 tokens were given; this workspace holds 0 for one_shot (WorldOptions::max_tokens_one_shot)");
  load(session, {refusable_case(Strategy::kTwoShot, 7)});
  check_right(session);
}

TEST_CASE("rows that are too wide are refused: how wide, and how wide they may be", "[virtual][errors]") {
  Session session(refusable_options({0, 0}));
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot, Strategy::kAuto}) {
    Case wide = refusable_case(strategy, 1);
    wide.hidden_dim = 2064;
    load(session, {wide});
    const std::string message =
        "input: rows of 4128 bytes (2064 bf16) were given; this workspace holds rows of up to 4096 bytes "
        "(WorldOptions::max_row_bytes)";
    check_refused(session, 0, session.call(0, 0), session.stream(0).get(), ErrorCode::kCapacity, message);
    check_not_prepared(session, 0, session.call(0, 0), ErrorCode::kCapacity, message);
    CHECK(session.workspace(0).max_tokens(strategy, 2064, DataType::kBF16) == 0);
  }
  load(session, {refusable_case(Strategy::kOneShot, 1)});
  check_right(session);
}

/// "" if the World is made.
std::string refusal(const WorldOptions& options) {
  return error_of(ErrorCode::kInvalidArgument, [&] { const World world(shared_context(), options); });
}

TEST_CASE("a World of no ranks, too many, or on GPUs that there are not, is refused", "[virtual][errors]") {
  CHECK(refusal(refusable_options({})) == "devices: 0 ranks were given; 1 to 72 are allowed");
  CHECK(refusal(refusable_options(std::vector<int>(73, 0))) == "devices: 73 ranks were given; 1 to 72 are allowed");
  CHECK(refusal(refusable_options(std::vector<int>(9, 0))) ==
        "devices: GPU 0 was given 9 times; at most 8 virtual ranks fit on a GPU");
  const int count = Gpu::count();
  const std::string shown = count == 1 ? "GPU 0 alone" : fmt::format("GPUs 0 to {}", count - 1);
  for (const int missing : {-1, count, 1000}) {
    const std::string message = fmt::format("devices: GPU {} was given; this machine shows {}", missing, shown);
    CHECK(refusal(refusable_options({missing})) == message);
    CHECK(refusal(refusable_options({0, missing})) == message);
    CHECK(refusal(refusable_options({missing, 0})) == message);
  }
}

TEST_CASE("a World without rows, tokens or a sensible timeout is refused", "[virtual][errors]") {
  WorldOptions options = refusable_options({0, 0});
  for (const std::int64_t bytes : {-16, 0, 8, 4104, 262160}) {
    options.max_row_bytes = bytes;
    CHECK(refusal(options) == fmt::format("max_row_bytes: {} was given; a multiple of 16 up to 262144 is allowed "
                                          "(hidden_dim times the size of an element)",
                                          bytes));
  }
  for (const std::int64_t tokens : {std::int64_t{-1}, kMaxCallTokens + 1}) {
    const std::string wrong = fmt::format(": {} was given; 0 to 16777216 is allowed", tokens);
    options = refusable_options({0, 0});
    options.max_tokens_one_shot = tokens;
    CHECK(refusal(options) == "max_tokens_one_shot" + wrong);
    options = refusable_options({0});
    options.max_tokens_two_shot = tokens;
    CHECK(refusal(options) == "max_tokens_two_shot" + wrong);
  }
  options = refusable_options({0, 0});
  options.max_tokens_one_shot = options.max_tokens_two_shot = 0;
  CHECK(refusal(options) == "max_tokens_one_shot, max_tokens_two_shot: both are 0; one must be at least 1");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  options = refusable_options({0, 0});
  for (const double seconds :
       {std::numeric_limits<double>::quiet_NaN(), kInfinity, -kInfinity, -1.0, -1e-9, 1000001.0}) {
    options.timeout_seconds = seconds;
    CHECK(refusal(options) ==
          fmt::format("timeout_seconds: {} was given; 0 (wait for ever) to 1000000 is allowed", seconds));
  }
}

TEST_CASE("a timeout that makes no sense is refused later too, and the one before it stays", "[virtual][errors]") {
  Session session(refusable_options({0, 0}));
  load(session, {refusable_case(Strategy::kOneShot, 3)});
  Workspace& workspace = session.workspace(0);
  const auto refused = [&](double seconds) {
    return error_of(ErrorCode::kInvalidArgument, [&] { workspace.set_timeout(seconds); });
  };
  CHECK(refused(std::numeric_limits<double>::quiet_NaN()) ==
        "timeout_seconds: nan was given; 0 (wait for ever) to 1000000 is allowed");
  CHECK(refused(-1) == "timeout_seconds: -1 was given; 0 (wait for ever) to 1000000 is allowed");
  CHECK(workspace.impl().timeout_nanoseconds == 5'000'000'000);
  check_untouched(session);
  check_right(session);
}

TEST_CASE("a rank that the World does not have is refused", "[virtual][errors]") {
  World world(shared_context(), refusable_options({0, 0}));
  for (const int rank : {-1, 2, 1000}) {
    CHECK(error_of(ErrorCode::kInvalidArgument, [&] { world.rank(rank); }) ==
          fmt::format("rank: {} was given; 0 to 1 is allowed", rank));
  }
  CHECK(world.rank(1).rank() == 1);
}

}  // namespace
}  // namespace allnorm::gpu_tests
