// Where simulated threads meet: shuffles and votes of warps, barriers of CTAs and clusters, shared memory.
#include <algorithm>

#include "catch.h"
#include "sim/litmus.h"

namespace allnorm::sim_tests {
namespace {

using Catch::Matchers::Contains;

LitmusKernels& kernels() {
  static LitmusKernels all(R"(
struct Shared {
  float values[64];
};

/// result[1024 w + 32 m + l]: whether lane l of warp w gets, for mask m, what lane l ^ m has given.
KERNEL(shuffle_all_masks) {
  for (u32 mask = 0; mask < 32; mask++) {
    const u32 lane = thread_in_cta() % 32;
    const u32 value = shuffle_xor(100 + lane, mask);
    const float f = shuffle_xor(static_cast<float>(lane), mask);
    const u32 at = 1024 * (thread_in_cta() / 32) + 32 * mask + lane;
    result(params, at, value == 100 + (lane ^ mask) && f == (lane ^ mask));
  }
}
KERNEL(shuffle_with_different_masks) {
  const u32 lane = thread_in_cta();
  result(params, lane, shuffle_xor(lane, lane < 16 ? 1 : 2));
}
/// Bit v of result[t]: in the v-th vote, lane v of warp 0 alone says yes; in the last one nobody does.
KERNEL(vote) {
  u32 seen = 0;
  for (u32 v = 0; v < 4; v++) seen |= static_cast<u32>(vote_any(v < 3 && thread_in_cta() == v)) << v;
  result(params, thread_in_cta(), seen);
}
KERNEL(shuffle_in_two_places) {
  if (thread_in_cta() < 7) {
    shuffle_xor(1u, 1);  // low lanes
  } else {
    shuffle_xor(1u, 1);  // high lanes
  }
}
KERNEL(shuffle_and_vote) { thread_in_cta() == 3 ? shuffle_xor(1u, 1) : vote_any(true); }
KERNEL(end_while_others_shuffle) {
  if (thread_in_cta() == 0) {
    for (u32 i = 0; i < params.tokens; i++) load_relaxed_system(word(params, 0));
    return;
  }
  shuffle_xor(1u, 1);
}
KERNEL(shuffle_while_others_meet) {
  if (thread_in_cta() == 3) barrier_cta();
  shuffle_xor(1u, 1);  // waits for lane 3
}

/// Warp 0 produces, warp 1 and then warp 2 consume: each pair has a barrier. Warp 3 has no part in it.
KERNEL(pass_through_named_barriers) {
  ALLNORM_SHARED(Shared, shared);
  const u32 warp = thread_in_cta() / 32, lane = thread_in_cta() % 32;
  if (warp == 0) {
    store_shared(&shared.values[lane], lane + 1.0f);
    barrier_named(1, 64);
  } else if (warp == 1) {
    barrier_named(1, 64);
    store_shared(&shared.values[32 + lane], 10 * load_shared(&shared.values[31 - lane]));
    barrier_named(2, 64);
  } else if (warp == 2) {
    barrier_named(2, 64);
    result(params, lane, static_cast<u32>(load_shared(&shared.values[32 + lane]) + load_shared(&shared.values[lane])));
  }
}
/// Warps 0 and 1 meet, and so do 2 and 3; then 3 reads what 0 has stored.
KERNEL(meet_others) {
  ALLNORM_SHARED(Shared, shared);
  const u32 warp = thread_in_cta() / 32, lane = thread_in_cta() % 32;
  if (warp == 0) store_shared(&shared.values[lane], 1.0f);
  barrier_named(1 + warp / 2, 64);
  if (warp == 3) load_shared(&shared.values[lane]);
}
KERNEL(barrier_of_others) {
  if (thread_in_cta() < 32) barrier_named(1, 32);
  if (thread_in_cta() >= 32) barrier_named(1, 64);
}
KERNEL(barrier_that_lacks_threads) { barrier_named(3, 96); }
KERNEL(barrier_16) { barrier_named(16, 32); }
/// Threads that end are not waited for.
KERNEL(meet_those_left) {
  if (thread_in_cta() % 3 == 0) return;
  barrier_cta();
  if (thread_in_cta() % 3 == 1) return;
  barrier_cta();
  result(params, thread_in_cta(), 1);
}

KERNEL(reduce) {
  ALLNORM_SHARED(Shared, shared);
  store_shared(&shared.values[thread_in_cta()], 1.0f);
  barrier_cta();
  float sum = 0;
  for (u32 i = 0; i < 64; i++) sum += load_shared(&shared.values[i]);
  result(params, thread_in_cta(), static_cast<u32>(sum));
}
KERNEL(read_after_write) {
  ALLNORM_SHARED(Shared, shared);
  if (thread_in_cta() == 0) store_shared(&shared.values[5], 1.0f);
  if (params.tokens) barrier_cta();
  if (thread_in_cta() == 1) load_shared(&shared.values[5]);  // races to read
}
KERNEL(write_after_read) {
  ALLNORM_SHARED(Shared, shared);
  if (thread_in_cta() == 1) store_shared(&shared.values[5], 1.0f);
  barrier_cta();
  if (thread_in_cta() == 0) load_shared(&shared.values[5]);
  if (params.tokens) barrier_cta();
  if (thread_in_cta() == 1) store_shared(&shared.values[5], 2.0f);  // races to write over
}
KERNEL(write_after_write) {
  ALLNORM_SHARED(Shared, shared);
  if (thread_in_cta() == 0) store_shared(&shared.values[5], 1.0f);
  if (params.tokens) barrier_cta();
  if (thread_in_cta() == 1) store_shared(&shared.values[5], 2.0f);
}

/// Every CTA writes into every other; result: the sum over the cluster.
KERNEL(exchange) {
  ALLNORM_SHARED(Shared, shared);
  barrier_cluster_arrive();
  barrier_cluster_wait();
  const u32 own = cta_in_grid() % 4;
  for (u32 to = 0; to < 4; to++) store_cluster_shared(&shared.values[own], to, 1.0f + own + 10 * to);
  barrier_cluster_arrive();
  barrier_cluster_wait();
  for (u32 from = 0; from < 4; from++) {
    result(params, 4 * cta_in_grid() + from, static_cast<u32>(load_shared(&shared.values[from])));
  }
}
KERNEL(store_before_start) {
  ALLNORM_SHARED(Shared, shared);
  store_cluster_shared(&shared.values[0], 1 - cta_in_grid(), 1.0f);  // too early
  barrier_cluster_arrive();
  barrier_cluster_wait();
}
KERNEL(store_after_end) {
  ALLNORM_SHARED(Shared, shared);
  barrier_cluster_arrive();
  barrier_cluster_wait();
  if (cta_in_grid() == 1) return;
  for (u32 i = 0; i < params.tokens; i++) load_relaxed_system(word(params, 0));
  store_cluster_shared(&shared.values[0], 1, 1.0f);  // too late
}
KERNEL(store_past_the_cluster) {
  ALLNORM_SHARED(Shared, shared);
  store_cluster_shared(&shared.values[0], 2, 1.0f);
}
/// Without a second cluster barrier.
KERNEL(exchange_and_race) {
  ALLNORM_SHARED(Shared, shared);
  store_shared(&shared.values[0], 0.0f);
  barrier_cluster_arrive();
  barrier_cluster_wait();
  store_cluster_shared(&shared.values[0], 1 - cta_in_grid(), 1.0f);
  load_relaxed_system(word(params, 0));  // may take a while
  barrier_cta();
  load_shared(&shared.values[0]);
}
/// CTA 1 reads when it has arrived, but not waited.
KERNEL(read_between_arrive_and_wait) {
  ALLNORM_SHARED(Shared, shared);
  barrier_cluster_arrive();
  barrier_cluster_wait();  // the first one
  if (cta_in_grid() == 0) store_cluster_shared(&shared.values[0], 1, 1.0f);
  barrier_cluster_arrive();
  if (cta_in_grid() == 1) {
    if (!params.tokens) barrier_cluster_wait();
    load_shared(&shared.values[0]);  // between
    if (!params.tokens) return;
  }
  barrier_cluster_wait();
}
KERNEL(arrive_twice) {
  barrier_cluster_arrive();
  barrier_cluster_arrive();
}
KERNEL(wait_without_arriving) { barrier_cluster_wait(); }
KERNEL(end_before_the_cluster_barrier) {
  if (thread_in_cta() % 2 == 0) return;
  barrier_cluster_arrive();
  barrier_cluster_wait();
  result(params, cta_in_grid(), 1);
}
KERNEL(one_cta_does_not_arrive) {
  if (cta_in_grid() == 1) barrier_cta();
  if (cta_in_grid() == 1 && thread_in_cta() == 0) {
    while (load_relaxed_system(word(params, 9)) != 1) pause_after_failed_poll();
  }
  barrier_cluster_arrive();
  barrier_cluster_wait();
}
KERNEL(good) { result(params, thread_in_cta(), 1); }
)");
  return all;
}

/// What each of these seeds gives for a kernel: messages, or "".
std::set<std::string> failures(const char* name, LitmusKernels::Shape shape, std::uint64_t tokens = 0,
                               std::uint64_t seeds = 50) {
  Bench bench;
  std::set<std::string> found;
  for (std::uint64_t seed = 1; seed <= seeds; seed++) {
    found.insert(bench.run(with_seed(seed), [&](Bench& b) {
      sim::KernelParams params = b.params(0);
      params.tokens = tokens;
      b.machine().launch(b.stream(0), {&kernels().get(name, shape), 1, params});
    }));
  }
  // Whatever happened, the machine can be used.
  CHECK(bench.run(with_seed(1), [](Bench& b) { b.launch(kernels().get("good", {32})); }) == "");
  CHECK(bench.results(32) == Outcome(32, 1));
  return found;
}

bool all_contain(const std::set<std::string>& messages, const std::string& part) {
  return std::all_of(messages.begin(), messages.end(),
                     [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

bool one_contains(const std::set<std::string>& messages, const std::string& part) {
  return std::any_of(messages.begin(), messages.end(),
                     [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

const std::set<std::string> kNone = {""};

TEST_CASE("a shuffle gives the value of the lane that the mask says, in every warp") {
  Bench bench;
  CHECK(bench.outcomes(
            2048, [](Bench& b) { b.launch(kernels().get("shuffle_all_masks", {64})); }, {}, 30) ==
        std::set<Outcome>{Outcome(2048, 1)});
  Outcome expected(32);
  for (unsigned lane = 0; lane < 32; lane++) expected[lane] = lane ^ (lane < 16 ? 1 : 2);
  CHECK(bench.outcomes(
            32, [](Bench& b) { b.launch(kernels().get("shuffle_with_different_masks", {32})); }, {}, 30) ==
        std::set<Outcome>{expected});
}

TEST_CASE("a vote is of the own warp") {
  Bench bench;
  Outcome expected(64);
  std::fill_n(expected.begin(), 32, 0b0111);
  CHECK(bench.outcomes(
            64, [](Bench& b) { b.launch(kernels().get("vote", {64})); }, {}, 30) == std::set<Outcome>{expected});
}

TEST_CASE("lanes of a warp that meet in different places are an error that names both") {
  const auto messages = failures("shuffle_in_two_places", {32});
  CHECK(all_contain(messages, "rank 0, CTA 0, thread "));
  CHECK(all_contain(messages, "lanes of a warp meet in different operations: this one in shuffle at litmus.cc:"));
  CHECK(all_contain(messages, kernels().line("low lanes")));
  CHECK(all_contain(messages, kernels().line("high lanes")));
  CHECK(all_contain(failures("shuffle_and_vote", {32}), "meet in different operations"));
}

TEST_CASE("a lane that ends without the shuffle of the others is an error") {
  // It ends first, or last.
  const auto early = failures("end_while_others_shuffle", {32}, 0);
  CHECK(one_contains(early, "shuffles in a warp of which lanes have ended"));
  const auto late = failures("end_while_others_shuffle", {32}, 100);
  CHECK(one_contains(late, "thread 0 (end_while_others_shuffle, launch 0): ended while lanes of its warp wait for it"));
  CHECK(early.count("") + late.count("") == 0);
  CHECK(all_contain(failures("good", {31}), ""));
}

TEST_CASE("a lane at a barrier while the others shuffle is a deadlock, and the report says who waits where") {
  const auto messages = failures("shuffle_while_others_meet", {32});
  CHECK(all_contain(messages, "deadlock"));
  CHECK(all_contain(messages, "rank 0, CTA 0: 31 threads from thread 0 on wait for other lanes in shuffle at " +
                                  kernels().line("waits for lane 3")));
  CHECK(all_contain(messages, "rank 0, CTA 0: 1 threads from thread 3 on wait for other threads in barrier_cta"));
}

TEST_CASE("named barriers order those that meet there, and what these have learnt elsewhere") {
  Bench bench;
  Outcome expected(32);
  for (unsigned lane = 0; lane < 32; lane++) expected[lane] = 10 * (32 - lane) + lane + 1;
  CHECK(bench.outcomes(
            32, [](Bench& b) { b.launch(kernels().get("pass_through_named_barriers", {128})); }, {}, 50) ==
        std::set<Outcome>{expected});
}

TEST_CASE("named barriers do not order those that meet at another one") {
  const auto messages = failures("meet_others", {128});
  CHECK(all_contain(messages, " shared memory"));
  CHECK(one_contains(messages, "written by thread 0 of CTA 0 with no barrier between"));
}

TEST_CASE("a barrier for which threads come with different numbers is an error, one that lacks threads a deadlock") {
  CHECK(one_contains(failures("barrier_of_others", {64}),
                     "comes to barrier 1 with 32 threads, where others wait with 64"));
  CHECK(all_contain(failures("barrier_that_lacks_threads", {64}),
                    "rank 0, CTA 0: 64 threads from thread 0 on wait for other threads in barrier_cta"));
  CHECK(all_contain(failures("barrier_16", {32}), "barrier 16 of 16"));
}

TEST_CASE("the barrier of a CTA waits for those alone that have not ended") {
  Bench bench;
  Outcome expected(64);
  for (unsigned i = 2; i < 64; i += 3) expected[i] = 1;
  CHECK(bench.outcomes(
            64, [](Bench& b) { b.launch(kernels().get("meet_those_left", {64})); }, {}, 50) ==
        std::set<Outcome>{expected});
}

TEST_CASE("shared memory carries values over the barrier of a CTA") {
  Bench bench;
  CHECK(bench.outcomes(
            64, [](Bench& b) { b.launch(kernels().get("reduce", {64}), 0, 3); }, {}, 30) ==
        std::set<Outcome>{Outcome(64, 64)});
}

TEST_CASE("shared memory used with no barrier between is an error, with one it is not") {
  for (const char* name : {"read_after_write", "write_after_read", "write_after_write"}) {
    INFO(name);
    CHECK(failures(name, {64}, 1) == kNone);
    CHECK(failures(name, {64}, 0).count("") == 0);
  }
  const auto reads = failures("read_after_write", {64});
  CHECK(one_contains(reads,
                     "rank 0, CTA 0, thread 1 (read_after_write, launch 0): reads shared memory at byte 20, "
                     "written by thread 0 of CTA 0 with no barrier between (load_shared at " +
                         kernels().line("races to read") + ")"));
  const auto writes = failures("write_after_read", {64});
  CHECK(one_contains(writes,
                     "thread 1 (write_after_read, launch 0): writes shared memory at byte 20, read by thread 0 "
                     "of CTA 0 with no barrier between (store_shared at " +
                         kernels().line("races to write over") + ")"));
  CHECK(one_contains(failures("write_after_write", {64}), "writes shared memory at byte 20, written by thread "));
}

TEST_CASE("stores into the shared memory of a cluster arrive in the right CTA") {
  Bench bench;
  Outcome expected(32);
  for (unsigned cta = 0; cta < 8; cta++) {
    for (unsigned from = 0; from < 4; from++) expected[4 * cta + from] = 1 + from + 10 * (cta % 4);
  }
  CHECK(bench.outcomes(
            32, [](Bench& b) { b.launch(kernels().get("exchange", {1, 4}), 0, 2); }, {}, 50) ==
        std::set<Outcome>{expected});
}

TEST_CASE("a store into a CTA that has not started, has ended, or does not exist is an error") {
  const auto early = failures("store_before_start", {1, 2});
  CHECK(one_contains(early, ", which has not started (store_cluster_shared at " + kernels().line("too early") + ")"));
  // However long it takes to start.
  Bench bench;
  sim::Schedule schedule;
  schedule.stalls = {sim::parse_stall("cta=1,at=start,milliseconds=1")};
  for (schedule.seed = 1; schedule.seed <= 20; schedule.seed++) {
    CHECK_THAT(bench.run(schedule, [](Bench& b) { b.launch(kernels().get("store_before_start", {1, 2})); }),
               Contains("stores into the shared memory of CTA 1, which has not started"));
  }
  const auto late = failures("store_after_end", {1, 2}, 20);
  CHECK(one_contains(late,
                     "rank 0, CTA 0, thread 0 (store_after_end, launch 0): stores into the shared memory of CTA "
                     "1, which has ended (store_cluster_shared at " +
                         kernels().line("too late") + ")"));
  CHECK(all_contain(failures("store_past_the_cluster", {1, 2}), "stores into CTA 2 of a cluster of 2"));
}

TEST_CASE("a store into another CTA needs a cluster barrier: that of the CTA does not do") {
  const auto messages = failures("exchange_and_race", {1, 2});
  CHECK(messages.count("") == 0);
  CHECK(one_contains(messages, "reads shared memory at byte 0, written by thread 0 of CTA "));
}

TEST_CASE("who has arrived at a cluster barrier, but not waited, is not ordered after the others") {
  CHECK(failures("read_between_arrive_and_wait", {1, 2}, 0) == kNone);
  CHECK(failures("read_between_arrive_and_wait", {1, 2}, 1).count("") == 0);
  // CTA 1 leaves the first barrier when CTA 0 is at the second already.
  Bench bench;
  sim::Schedule schedule;
  schedule.policy = sim::Policy::kRoundRobin;
  schedule.stalls = {sim::parse_stall("cta=1,at=barrier_cluster_wait,steps=1000")};
  CHECK_THAT(
      bench.run(schedule,
                [](Bench& b) {
                  sim::KernelParams params = b.params(0);
                  params.tokens = 1;
                  b.machine().launch(b.stream(0), {&kernels().get("read_between_arrive_and_wait", {1, 2}), 1, params});
                }),
      Contains("rank 0, CTA 1, thread 0 (read_between_arrive_and_wait, launch 0): reads shared memory at byte 0, "
               "written by thread 0 of CTA 0 with no barrier between (load_shared at " +
               kernels().line("between") + ")"));
}

TEST_CASE("the cluster barrier is arrived at and waited for in turns, by those that have not ended") {
  CHECK(all_contain(failures("arrive_twice", {1, 2}), "arrives at the cluster barrier again without having waited"));
  CHECK(all_contain(failures("wait_without_arriving", {1, 2}), "waits at the cluster barrier without having arrived"));
  Bench bench;
  CHECK(bench.outcomes(
            2, [](Bench& b) { b.launch(kernels().get("end_before_the_cluster_barrier", {32, 2})); }, {}, 30) ==
        std::set<Outcome>{{1, 1}});
  CHECK(all_contain(failures("one_cta_does_not_arrive", {32, 2}),
                    "rank 0, CTA 0: 32 threads from thread 0 on wait for other CTAs of the cluster in "
                    "barrier_cluster_wait at litmus.cc:"));
}

}  // namespace
}  // namespace allnorm::sim_tests
