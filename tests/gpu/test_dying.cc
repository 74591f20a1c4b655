// A rank that dies, stands still or does something else than the others, each rank being a process: what the others
// see, and how they go on. Each test needs two processes of its own: tools/prove-gpu starts them.
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <string>

#include "catch.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

constexpr double kTimeout = 1.0;
constexpr double kPatience = 5.0;
/// Who survives, and who dies, stops, or errs.
constexpr int kSurvivor = 0;
constexpr int kOther = 1;

WorldOptions options_with_timeout(double seconds) {
  WorldOptions options;
  options.max_row_bytes = 4096 * 2;
  options.max_tokens_one_shot = options.max_tokens_two_shot = 8;
  options.timeout_seconds = seconds;
  return options;
}

Case small_case(Strategy strategy, std::int64_t tokens) {
  Case c;
  c.seed = 11;
  c.world_size = 2;
  c.hidden_dim = 2880;
  c.quant = Quant::kFp8;
  c.strategy = strategy;
  c.tokens = tokens;
  return c;
}

void load(Session& session, const Case& c) {
  session.load({&c, 1});
  session.prepare();
  session.meet();
}

/// All ranks call, and all bytes are right.
void check_right(Session& session, const GpuGraph* graph = nullptr) {
  session.refill();
  session.meet();
  graph != nullptr ? graph->launch() : session.enqueue(0, 0);
  session.wait();
  for (const Failure& failure : session.verify_loaded()) FAIL_CHECK(describe(failure));
}

/// The stream ends in time, and the status says who did not come.
void check_gave_up(Session& session, double since) {
  CHECK(session.stream(0).wait(kPatience));
  const double took = seconds_now() - since;
  const WorkspaceStatus status = session.workspace(0).status();
  INFO(status.message);
  fmt::print("gave up after {:.2f} s: {}\n", took, status.message);
  CHECK(took < kTimeout + 1.0);
  CHECK(!status.healthy);
  CHECK(status.code == ErrorCode::kTimeout);
  CHECK(status.rank == kSurvivor);
  CHECK(status.waited_for == kOther);
}

[[noreturn]] void die() {
  std::fflush(stdout);
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

/// A shell command beside this process.
void run_beside(const std::string& command) {
  std::array<std::string, 3> texts = {"/bin/sh", "-c", command};
  std::array<char*, 4> arguments = {texts[0].data(), texts[1].data(), texts[2].data(), nullptr};
  pid_t child = 0;
  REQUIRE(::posix_spawn(&child, "/bin/sh", nullptr, nullptr, arguments.data(), environ) == 0);
}

HostGroup second_group(int rank) {
  HostGroup group = launched_group();
  group.session += "_again";
  group.rank = rank;
  group.timeout_seconds = 60;
  return group;
}

/// A rank that was started anew joins the one that has survived: right bytes, from a World of their own.
void go_on(int rank) {
  const auto bootstrap = meet_on_host(second_group(rank));
  Session session(*bootstrap, options_with_timeout(10));
  load(session, small_case(Strategy::kTwoShot, 7));
  for (int call = 0; call < 5; ++call) check_right(session);
  session.meet();
}

void restart_other_and_go_on() {
  const std::string self = fmt::format("/proc/{}/exe", ::getpid());
  run_beside(fmt::format("RANK={} exec {} '[joins]'", kOther, self));
  go_on(kSurvivor);
}

bool is_survivor() { return launched_bootstrap()->rank() == kSurvivor; }

TEST_CASE("a rank that was started anew joins", "[.][rank][joins]") { go_on(kOther); }

TEST_CASE("a peer is killed between eager calls: the other says so, and goes on with a new one",
          "[.][rank][killed_eager]") {
  {
    Session session(*launched_bootstrap(), options_with_timeout(kTimeout));
    load(session, small_case(Strategy::kOneShot, 3));
    for (int call = 0; call < 5; ++call) check_right(session);
    session.meet();
    if (!is_survivor()) die();
    const double start = seconds_now();
    session.enqueue(0, 0);
    check_gave_up(session, start);
  }
  restart_other_and_go_on();
}

TEST_CASE("a peer is killed while its graph runs: the other says so, and goes on with a new one",
          "[.][rank][killed_graph]") {
  {
    Session session(*launched_bootstrap(), options_with_timeout(kTimeout));
    load(session, small_case(Strategy::kTwoShot, 8));
    constexpr int kCalls = 2000;
    const GpuGraph graph(session.stream(0), [&] {
      for (int call = 0; call < kCalls; ++call) session.enqueue(0, 0);
    });
    graph.upload();
    session.wait();
    for (int replay = 0; replay < 3; ++replay) check_right(session, &graph);
    session.meet();
    if (!is_survivor()) {
      graph.launch();
      ::usleep(2000);  // some of its calls are done by now, and some are not
      die();
    }
    const double start = seconds_now();
    for (int replay = 0; replay < 3; ++replay) graph.launch();
    check_gave_up(session, start);
  }
  restart_other_and_go_on();
}

TEST_CASE("a peer is killed while a World is made: the other says so", "[.][rank][killed_creation]") {
  Bootstrap& bootstrap = *launched_bootstrap();
  shared_context();
  bootstrap.barrier();
  if (!is_survivor()) die();
  const double start = seconds_now();
  std::string said;
  try {
    Session session(bootstrap, options_with_timeout(kTimeout));
  } catch (const Error& error) {
    said = error.what();
  }
  fmt::print("after {:.2f} s: {}\n", seconds_now() - start, said);
  CHECK(said == "rank 1 has gone: its process ended, or it gave up");
  CHECK(seconds_now() - start < 5.0);
  restart_other_and_go_on();
}

TEST_CASE("a peer is killed while it prepares: the other says so when it calls", "[.][rank][killed_prepare]") {
  {
    Session session(*launched_bootstrap(), options_with_timeout(kTimeout));
    const Case c = small_case(Strategy::kOneShot, 2);
    session.load({&c, 1});
    if (!is_survivor()) {
      run_beside(fmt::format("sleep 0.1; kill -9 {}", ::getpid()));
      for (;;) session.prepare();
    }
    session.prepare();
    const double start = seconds_now();
    session.enqueue(0, 0);
    check_gave_up(session, start);
  }
  restart_other_and_go_on();
}

TEST_CASE("a peer that stands still for ten seconds and goes on is waited for", "[.][rank][stopped]") {
  Session session(*launched_bootstrap(), options_with_timeout(30));
  session.set_wait_seconds(25);
  load(session, small_case(Strategy::kTwoShot, 5));
  check_right(session);
  session.refill();
  session.meet();
  const double start = seconds_now();
  if (!is_survivor()) {
    run_beside(fmt::format("sleep 10; kill -CONT {}", ::getpid()));
    ::kill(::getpid(), SIGSTOP);
  }
  session.enqueue(0, 0);
  session.wait();
  fmt::print("the call took {:.1f} s\n", seconds_now() - start);
  if (is_survivor()) CHECK(seconds_now() - start > 9.0);
  for (const Failure& failure : session.verify_loaded()) FAIL_CHECK(describe(failure));
  for (int call = 0; call < 3; ++call) check_right(session);
}

TEST_CASE("after a timeout with both alive reset() heals, and graphs go on", "[.][rank][reset]") {
  Session session(*launched_bootstrap(), options_with_timeout(kTimeout));
  load(session, small_case(Strategy::kOneShot, 4));
  const GpuGraph graph(session.stream(0), [&] { session.enqueue(0, 0); });
  graph.upload();
  for (int round = 0; round < 3; ++round) {
    for (int call = 0; call < 4; ++call) check_right(session, call % 2 == 0 ? &graph : nullptr);
    session.meet();
    const double start = seconds_now();
    if (is_survivor()) {
      graph.launch();
      check_gave_up(session, start);
    }
    session.meet();
    if (!is_survivor()) CHECK(session.workspace(0).status().waited_for == kOther);
    session.world().reset();
    CHECK(session.workspace(0).status().healthy);
  }
  for (int call = 0; call < 4; ++call) check_right(session, &graph);
}

TEST_CASE("ranks that call with different tokens wait no longer than their deadline", "[.][rank][mismatch]") {
  Session session(*launched_bootstrap(), options_with_timeout(kTimeout));
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
    load(session, small_case(strategy, is_survivor() ? 6 : 2));
    const double start = seconds_now();
    session.enqueue(0, 0);
    if (is_survivor()) check_gave_up(session, start);
    CHECK(session.stream(0).wait(kPatience));
    session.meet();
    CHECK(!session.workspace(0).status().healthy);
    session.world().reset();
  }
  load(session, small_case(Strategy::kOneShot, 6));
  check_right(session);
}

/// The stream ends at once, and the status names both tokens.
void check_mismatch(Session& session, std::uint64_t calls_before, double since) {
  CHECK(session.stream(0).wait(kPatience));
  const double took = seconds_now() - since;
  const WorkspaceStatus status = session.workspace(0).status();
  fmt::print("after {:.3f} s: {}\n", took, status.message);
  CHECK(took < kTimeout);
  CHECK(status.code == ErrorCode::kMismatch);
  CHECK(status.epoch == calls_before);
  CHECK(status.message.find("rank 0 has tokens 6; rank 1 has tokens 2") != std::string::npos);
}

TEST_CASE("in checked mode ranks that call with different tokens say so on both, and what agrees is right",
          "[.][rank][checked]") {
  WorldOptions options = options_with_timeout(kTimeout);
  options.checked = true;
  Session session(*launched_bootstrap(), options);
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
    load(session, small_case(strategy, 6));
    for (int call = 0; call < 5; ++call) check_right(session);
    const GpuGraph graph(session.stream(0), [&] {
      for (int call = 0; call < 20; ++call) session.enqueue(0, 0);
    });
    graph.upload();
    for (int replay = 0; replay < 5; ++replay) check_right(session, &graph);
    CHECK(session.workspace(0).status().healthy);
    load(session, small_case(strategy, is_survivor() ? 6 : 2));
    const double start = seconds_now();
    session.enqueue(0, 0);
    check_mismatch(session, 105, start);
    session.meet();
    session.world().reset();

    const GpuGraph different(session.stream(0), [&] { session.enqueue(0, 0); });
    different.upload();
    session.meet();
    const double again = seconds_now();
    different.launch();
    check_mismatch(session, 0, again);
    session.meet();
    session.world().reset();
  }
}

TEST_CASE("a thousand Worlds one after the other leave no memory behind", "[.][rank][thousand]") {
  Bootstrap& bootstrap = *launched_bootstrap();
  Gpu& gpu = Gpu::at(bootstrap.rank());
  WorldOptions options = options_with_timeout(kTimeout);
  std::size_t free_after_ten = 0;
  const double start = seconds_now();
  for (int i = 0; i < 1000; ++i) {
    const World world(shared_context(), bootstrap, bootstrap.rank(), options);
    if (i == 10) free_after_ten = gpu.free_bytes();
  }
  bootstrap.barrier();
  const std::size_t free_at_end = gpu.free_bytes();
  fmt::print("1000 Worlds in {:.1f} s; {} MiB free after ten, {} at the end\n", seconds_now() - start,
             free_after_ten >> 20, free_at_end >> 20);
  CHECK(free_at_end + (std::size_t{64} << 20) >= free_after_ten);
}

}  // namespace
}  // namespace allnorm::gpu_tests
