// A peer that never calls: waits end in time, every rank knows who waited for whom, and reset() heals.
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "catch.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

constexpr double kTimeout = 0.2;
constexpr double kPatience = 2.0;

WorldOptions options_with_timeout(double seconds) {
  WorldOptions options;
  options.devices = {0, 0};
  options.max_row_bytes = 4096 * 2;
  options.max_tokens_one_shot = options.max_tokens_two_shot = 8;
  options.timeout_seconds = seconds;
  return options;
}

Case small_case(Strategy strategy, std::int64_t tokens) {
  Case c;
  c.seed = 11;
  c.hidden_dim = 2880;
  c.quant = Quant::kFp8;
  c.strategy = strategy;
  c.tokens = tokens;
  return c;
}

void load(Session& session, const Case& c) {
  session.load({&c, 1});
  session.prepare();
}

/// All ranks call, and all bytes are right.
void check_right(Session& session) {
  session.refill();
  for (int rank = 0; rank < session.size(); ++rank) session.enqueue(0, rank);
  session.wait();
  for (const Failure& failure : session.verify_loaded()) FAIL_CHECK(describe(failure));
}

void check_healthy(Session& session) {
  for (int rank = 0; rank < session.size(); ++rank) CHECK(session.workspace(rank).status().healthy);
}

/// The seconds that the stream takes to end; kPatience if it does not, after an abort.
double seconds_until_done(Session& session, int rank) {
  const double start = seconds_now();
  if (!session.stream(rank).wait(kPatience)) {
    session.workspace(rank).abort();
    if (!session.stream(rank).wait(kPatience)) FAIL("a stream did not end after abort() either");
    return kPatience;
  }
  return seconds_now() - start;
}

/// Of two ranks, `caller` calls and the other does not.
void check_lonely_call(Session& session, int caller, Strategy strategy, const std::string& phase) {
  INFO(fmt::format("rank {} alone calls {}", caller, to_string(strategy)));
  const int absent = 1 - caller;
  constexpr std::uint64_t kCallsBefore = 3;
  session.world().reset();
  load(session, small_case(strategy, 1));
  for (std::uint64_t call = 0; call < kCallsBefore; ++call) check_right(session);

  session.enqueue(0, caller);
  const double took = seconds_until_done(session, caller);
  CHECK(took < kPatience);
  CHECK(took > kTimeout / 2);
  for (int rank = 0; rank < session.size(); ++rank) {
    const WorkspaceStatus status = session.workspace(rank).status();
    INFO(fmt::format("status of rank {}: {}", rank, status.message));
    CHECK(!status.healthy);
    CHECK(status.code == ErrorCode::kTimeout);
    CHECK(status.rank == caller);
    CHECK(status.waited_for == absent);
    CHECK(status.row == 0);
    CHECK(status.phase == phase);
    CHECK(status.strategy == strategy);
    CHECK(status.epoch == kCallsBefore);
    CHECK(status.message.find(fmt::format("rank {}", absent)) != std::string::npos);
    CHECK(status.message.find(phase) != std::string::npos);
  }
  // Who comes late does not wait in its turn.
  session.enqueue(0, absent);
  CHECK(seconds_until_done(session, absent) < kTimeout / 2);

  session.world().reset();
  check_healthy(session);
  for (int call = 0; call < 4; ++call) check_right(session);
}

TEST_CASE("a rank that is alone gives up in time, says for whom it waited, and reset() heals", "[virtual][timeout]") {
  Session session(options_with_timeout(kTimeout));
  session.set_wait_seconds(5);
  check_lonely_call(session, 0, Strategy::kOneShot, "one-shot");
  check_lonely_call(session, 1, Strategy::kOneShot, "one-shot");
  // Rank 0 owns row 0: it waits for the rows of others, others wait for its sum.
  check_lonely_call(session, 0, Strategy::kTwoShot, "scatter");
  check_lonely_call(session, 1, Strategy::kTwoShot, "broadcast");
}

TEST_CASE("calls of several rows give up once, not once a row", "[virtual][timeout]") {
  Session session(options_with_timeout(kTimeout));
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
    load(session, small_case(strategy, 8));
    for (int call = 0; call < 5; ++call) session.enqueue(0, 0);
    CHECK(seconds_until_done(session, 0) < kPatience);
    CHECK(!session.workspace(1).status().healthy);
    session.world().reset();
    check_right(session);
  }
}

TEST_CASE("abort() ends a wait that has no limit, and reset() heals", "[virtual][timeout]") {
  Session session(options_with_timeout(0));
  session.set_wait_seconds(5);
  load(session, small_case(Strategy::kTwoShot, 3));
  check_right(session);
  for (const int aborting : {1, 0}) {
    session.enqueue(0, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    CHECK(!session.stream(0).is_done());
    session.workspace(aborting).abort();
    CHECK(seconds_until_done(session, 0) < kPatience);
    for (int rank = 0; rank < 2; ++rank) {
      CHECK(!session.workspace(rank).status().healthy);
      CHECK(session.workspace(rank).status().code == ErrorCode::kAborted);
    }
    session.world().reset();
    check_healthy(session);
    check_right(session);
  }
}

TEST_CASE("a timeout that is set later holds for captured calls, and after reset()", "[virtual][timeout]") {
  Session session(options_with_timeout(30));
  session.set_wait_seconds(5);
  load(session, small_case(Strategy::kOneShot, 2));
  std::vector<std::unique_ptr<GpuGraph>> graphs;
  for (int rank = 0; rank < 2; ++rank) {
    graphs.push_back(std::make_unique<GpuGraph>(session.stream(rank), [&] { session.enqueue(0, rank); }));
    graphs.back()->upload();
    session.workspace(rank).set_timeout(kTimeout);
  }
  const auto check_replay = [&] {
    session.refill();
    for (const auto& graph : graphs) graph->launch();
    session.wait();
    for (const Failure& failure : session.verify_loaded()) FAIL_CHECK(describe(failure));
  };
  for (int round = 0; round < 2; ++round) {
    INFO(fmt::format("after {} resets", round));
    for (int replay = 0; replay < 4; ++replay) check_replay();
    graphs[0]->launch();
    CHECK(seconds_until_done(session, 0) < kPatience);
    CHECK(session.workspace(1).status().code == ErrorCode::kTimeout);
    session.world().reset();
    check_healthy(session);
  }
  check_replay();
}

}  // namespace
}  // namespace allnorm::gpu_tests
