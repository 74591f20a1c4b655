// Schedules: runs can be repeated, searched through, and held; threads of the host share a machine.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "allnorm/error.h"
#include "catch.h"
#include "device/sim/operations.h"
#include "error_of.h"
#include "sim/litmus.h"

namespace allnorm::sim_tests {
namespace {

using allnorm::testing::error_of;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

LitmusKernels& kernels() {
  static LitmusKernels all(R"(
constexpr u32 kData = 0, kFlag = 64, kTurn = 128;

KERNEL(write_weak) {
  store_output(word(params, kData), 1u);
  store_output(word(params, kFlag), 1u);
}
KERNEL(write_released) {
  store_output(word(params, kData), 1u);
  store_release_system(word(params, kFlag), 1);
}
KERNEL(read) {
  const u32 flag = load_relaxed_system(word(params, kFlag));
  const u32 data = load_relaxed_system(word(params, kData));
  result(params, 0, flag);
  result(params, 1, data);
}
KERNEL(poll_and_read) {
  while (load_relaxed_system(word(params, kFlag)) != 1) pause_after_failed_poll();
  result(params, 1, load_relaxed_system(word(params, kData)));
}
/// Much that can go in any order.
KERNEL(mix) {
  for (u32 i = 0; i < 8; i++) {
    const u32 seen = load_relaxed_system(word(params, (thread_in_cta() + i) % 32));
    store_output(word(params, (thread_in_cta() * 7 + i) % 32), seen + thread_in_cta() + i + params.rank);
    if (i == 4) barrier_cta();
  }
}
/// result[thread]: when it began and how often it polled until about three milliseconds later.
KERNEL(poll_until_deadline) {
  const u64 begin = clock_nanoseconds();
  u32 polls = 0;
  while (load_relaxed_system(word(params, kFlag)) != 1 && clock_nanoseconds() - begin < 3000000) {
    pause_after_failed_poll();
    polls++;
  }
  result(params, 2 * thread_in_cta(), static_cast<u32>(begin));
  result(params, 2 * thread_in_cta() + 1, polls);
}
/// A place in line for each thread: result[i] = its turn.
KERNEL(take_turns) {
  store_output(word(params, 256 + thread_in_cta()), 1u);  // first store
  store_output(word(params, 320 + thread_in_cta()), 1u);  // second store
  u32 turn = 0;
  for (u32 before; (before = compare_and_swap_system(word(params, kTurn), turn, turn + 1)) != turn;) turn = before;
  result(params, 64 * params.rank + 4 * cta_in_grid() + thread_in_cta(), turn);
}
KERNEL(give_flag) {
  barrier_cta();
  store_output(word(params, kFlag), 1u);  // gives
}
KERNEL(meet_other_rank) {
  store_output(word(params, kFlag + params.rank), 1u);
  while (load_relaxed_system(word(params, kFlag + 1 - params.rank)) != 1) pause_after_failed_poll();
  result(params, params.rank, 1);
}
KERNEL(store_one_load_other) {
  store_output(word(params, kFlag * params.rank), 1u);
  result(params, params.rank, load_relaxed_system(word(params, kFlag * (1 - params.rank))));
}
/// Each makes a 1 of a 0, or finds out who was first; then looks again.
KERNEL(swap_and_load) {
  const u32 before = compare_and_swap_system(word(params, kFlag), 0, 1 + params.rank);
  result(params, params.rank, 10 * before + load_relaxed_system(word(params, kFlag)));
}
KERNEL(start_without_shared_memory) { result(params, params.rank, 1); }
KERNEL(fault) { load_relaxed_system(static_cast<const u32*>(nullptr)); }
)");
  return all;
}

bool equal(const sim::Statistics& a, const sim::Statistics& b) {
  return a.launches == b.launches && a.steps == b.steps && a.stores == b.stores && a.stale == b.stale &&
         a.interleaving == b.interleaving;
}

void launch_mix(Bench& b) {
  b.launch(kernels().get("mix", {64}), 0, 3);
  b.launch(kernels().get("mix", {32}), 1, 2);
}

sim::Schedule of_policy(sim::Policy policy, std::uint64_t seed = 1) {
  sim::Schedule schedule = with_seed(seed);
  schedule.policy = policy;
  return schedule;
}

sim::Schedule with_stall(const std::string& text, sim::Policy policy = sim::Policy::kRoundRobin) {
  sim::Schedule schedule = of_policy(policy);
  schedule.stalls.push_back(sim::parse_stall(text));
  return schedule;
}

// --- the same again

TEST_CASE("the same seed gives the same run, on the same machine and on another, under every policy") {
  Bench bench(2), another(2);
  for (const sim::Policy policy : {sim::Policy::kRandom, sim::Policy::kRoundRobin, sim::Policy::kStarve}) {
    for (std::uint64_t seed = 1; seed <= 20; seed++) {
      CHECK(bench.run(of_policy(policy, seed), launch_mix) == "");
      const sim::Statistics first = bench.machine().statistics();
      CHECK(first.launches == 2);
      CHECK(first.stores == 8 * (3 * 64 + 2 * 32));
      CHECK(bench.run(of_policy(policy, seed), launch_mix) == "");
      CHECK(equal(bench.machine().statistics(), first));
      CHECK(another.run(of_policy(policy, seed), launch_mix) == "");
      CHECK(equal(another.machine().statistics(), first));
    }
  }
}

TEST_CASE("a run does not depend on what the machine ran before") {
  Bench bench;
  const auto launches = [](Bench& b) { b.launch(kernels().get("poll_until_deadline", {32}), 0, 2); };
  for (std::uint64_t seed = 1; seed <= 10; seed++) {
    Bench fresh;
    CHECK(fresh.run(with_seed(seed), launches) == "");
    CHECK(bench.run(with_seed(seed), launches) == "");
    CHECK(bench.results(64) == fresh.results(64));
    CHECK(equal(bench.machine().statistics(), fresh.machine().statistics()));
  }
}

TEST_CASE("other seeds give other runs") {
  Bench bench(2);
  std::set<std::uint64_t> interleavings;
  std::set<std::uint64_t> stale;
  for (std::uint64_t seed = 1; seed <= 50; seed++) {
    CHECK(bench.run(with_seed(seed), launch_mix) == "");
    interleavings.insert(bench.machine().statistics().interleaving);
    stale.insert(bench.machine().statistics().stale);
  }
  CHECK(interleavings.size() == 50);
  CHECK(stale.size() > 5);
}

TEST_CASE("no load is stale where the schedule says so") {
  Bench bench(2);
  for (std::uint64_t seed = 1; seed <= 20; seed++) {
    sim::Schedule schedule = without_stale_loads();
    schedule.seed = seed;
    CHECK(bench.run(schedule, launch_mix) == "");
    CHECK(bench.machine().statistics().stale == 0);
  }
}

TEST_CASE("the kernel of a starved rank comes last, and still ends") {
  Bench bench(2);
  const auto launches = [](Bench& b) {
    b.launch(kernels().get("take_turns", {4}), 0, 4);
    b.launch(kernels().get("take_turns", {4}), 1, 4);
  };
  // Of a hundred runs, how often the other rank was done before this one had begun.
  const auto last = [&](sim::Policy policy, int rank) {
    int count = 0;
    for (std::uint64_t seed = 1; seed <= 100; seed++) {
      sim::Schedule schedule = of_policy(policy, seed);
      schedule.starved_rank = rank;
      CHECK(bench.run(schedule, launches) == "");
      const Outcome turns = bench.results(128);
      const auto end_of = [&](int r) { return *std::max_element(&turns[64 * r], &turns[64 * r] + 16); };
      const auto begin_of = [&](int r) { return *std::min_element(&turns[64 * r], &turns[64 * r] + 16); };
      count += end_of(1 - rank) < begin_of(rank) ? 1 : 0;
    }
    return count;
  };
  for (int rank = 0; rank < 2; rank++) {
    CHECK(last(sim::Policy::kStarve, rank) > 20);
    CHECK(last(sim::Policy::kRandom, rank) < 10);
  }
  // Also where the other waits for it.
  for (std::uint64_t seed = 1; seed <= 20; seed++) {
    CHECK(bench.run(of_policy(sim::Policy::kStarve, seed), [](Bench& b) {
      b.launch(kernels().get("meet_other_rank"), 0);
      b.launch(kernels().get("meet_other_rank"), 1);
    }) == "");
  }
}

// --- all there are

std::set<Outcome> all_outcomes(const char* writer, const char* reader) {
  Bench bench(2);
  std::set<Outcome> found;
  const auto runs = search_all(
      bench,
      [&](Bench& b) {
        b.launch(kernels().get(writer), 0);
        b.launch(kernels().get(reader), 1);
      },
      [&](Bench& b) { found.insert(b.results(2)); }, 20'000);
  INFO(writer << " and " << reader << ": " << runs.value_or(0) << " runs");
  CHECK(runs.has_value());
  CHECK(runs.value_or(0) > 1);
  return found;
}

TEST_CASE("a search through all choices finds each allowed outcome of message passing, no other, and ends") {
  CHECK(all_outcomes("write_weak", "read") == std::set<Outcome>{{0, 0}, {0, 1}, {1, 0}, {1, 1}});
  CHECK(all_outcomes("write_released", "read") == std::set<Outcome>{{0, 0}, {0, 1}, {1, 1}});
  CHECK(all_outcomes("write_weak", "poll_and_read") == std::set<Outcome>{{0, 0}, {0, 1}});
  CHECK(all_outcomes("write_released", "poll_and_read") == std::set<Outcome>{{0, 1}});
}

TEST_CASE("a search goes through what others do between any two accesses of a thread") {
  CHECK(all_outcomes("store_one_load_other", "store_one_load_other") ==
        std::set<Outcome>{{0, 0}, {0, 1}, {1, 0}, {1, 1}});
  CHECK(all_outcomes("swap_and_load", "swap_and_load") == std::set<Outcome>{{1, 11}, {22, 2}});
}

TEST_CASE("a replay takes the choices given, then the first, and says what it took") {
  Bench bench(2);
  const auto launches = [](Bench& b) {
    b.launch(kernels().get("write_weak"), 0);
    b.launch(kernels().get("read"), 1);
  };
  sim::Schedule schedule = of_policy(sim::Policy::kReplay);
  CHECK(bench.run(schedule, launches) == "");
  const auto first = bench.machine().decisions();
  REQUIRE(first.size() > 1);
  for (const auto& each : first) {
    CHECK(each.chosen == 0);
    CHECK(each.count > 1);
  }
  schedule.replay = {1, 0, 99};  // 99 is none: the first
  CHECK(bench.run(schedule, launches) == "");
  const auto second = bench.machine().decisions();
  REQUIRE(second.size() > 2);
  CHECK(second[0].chosen == 1);
  CHECK(second[1].chosen == 0);
  CHECK(second[2].chosen == 0);
  CHECK(bench.run(with_seed(1), launches) == "");
  CHECK(bench.machine().decisions().empty());
}

// --- stalls

/// The turns of four threads of two CTAs of two ranks.
Outcome turns(Bench& bench, const sim::Schedule& schedule) {
  CHECK(bench.run(schedule, [](Bench& b) {
    b.launch(kernels().get("take_turns", {4}), 0, 2);
    b.launch(kernels().get("take_turns", {4}), 1, 2);
  }) == "");
  Outcome all = bench.results(8);
  const Outcome both = bench.results(72);
  all.insert(all.end(), both.begin() + 64, both.end());
  return all;
}

TEST_CASE("a stall holds the thread that it names, at the operation that it names") {
  Bench bench(2);
  for (const char* point : {"store", "compare_and_swap"}) {
    const std::string at = fmt::format("at={},steps=10000", point);
    CHECK(turns(bench, with_stall("rank=1,cta=1,thread=2," + at))[8 + 4 + 2] == 15);
    CHECK(turns(bench, with_stall("rank=0,cta=0,thread=0," + at))[0] == 15);
    // The four of a CTA, and the eight of a rank, are the last.
    const Outcome cta = turns(bench, with_stall("rank=0,cta=1," + at));
    CHECK(*std::min_element(cta.begin() + 4, cta.begin() + 8) == 12);
    const Outcome rank = turns(bench, with_stall("rank=0," + at));
    CHECK(*std::min_element(rank.begin(), rank.begin() + 8) == 8);
  }
}

TEST_CASE("a stall holds at a line, and where a thread comes there for the n-th time") {
  Bench bench(2);
  // What has arrived of thread 1's two stores when thread 2's second one has.
  const auto stores = [&](const std::string& where) {
    bench.reset(with_stall("rank=0,thread=1,steps=10000," + where));
    bench.launch(kernels().get("take_turns", {4}));
    while (bench.word(320 + 2) == 0) CHECK(bench.machine().run(1));
    const Outcome seen = {bench.word(256 + 1), bench.word(320 + 1)};
    bench.machine().synchronize_all();
    CHECK(bench.word(320 + 1) == 1);
    return seen;
  };
  CHECK(stores("at=" + kernels().line("first store")) == Outcome{0, 0});
  CHECK(stores("at=" + kernels().line("second store")) == Outcome{1, 0});
  CHECK(stores("at=store,occurrence=1") == Outcome{0, 0});
  CHECK(stores("at=store,occurrence=2") == Outcome{1, 0});
}

TEST_CASE("a stall at the start holds a kernel before it does anything") {
  Bench bench(2);
  for (const char* stall : {"rank=1,at=start,steps=10000", "rank=1,at=start,milliseconds=5"}) {
    bench.reset(with_stall(stall));
    bench.launch(kernels().get("start_without_shared_memory"), 0);
    bench.launch(kernels().get("start_without_shared_memory"), 1);
    bench.machine().synchronize(bench.stream(0));
    CHECK(bench.results(2) == Outcome{1, 0});
    bench.machine().synchronize_all();
    CHECK(bench.results(2) == Outcome{1, 1});
  }
  CHECK_THAT(bench.run(with_stall("rank=1,at=start"),
                       [](Bench& b) { b.launch(kernels().get("start_without_shared_memory"), 1); }),
             Contains("\n  rank 1, CTA 0: 1 threads from thread 0 on are held by a stall in start"));
}

TEST_CASE("a stall of milliseconds lasts as long in simulated time") {
  Bench bench(2);
  const auto launches = [](Bench& b) {
    b.launch(kernels().get("poll_until_deadline"), 0);
    b.launch(kernels().get("give_flag"), 1);
  };
  const auto polls = [&](const char* stall) {
    CHECK(bench.run(with_stall(stall), launches) == "");
    return bench.results(2)[1];
  };
  CHECK(polls("rank=1,at=barrier_cta,milliseconds=1000") > polls("rank=1,at=barrier_cta,steps=5"));
}

TEST_CASE("a stall for ever of a thread that others need is a deadlock, and the report says who is held") {
  Bench bench(2);
  CHECK_THAT(
      bench.run(with_stall("rank=1,thread=3,at=barrier_cta"),
                [](Bench& b) {
                  b.launch(kernels().get("poll_and_read"), 0);
                  b.launch(kernels().get("give_flag", {32}), 1);
                }),
      StartsWith("simulator: deadlock") &&
          Contains("\n  rank 0, CTA 0: 1 threads from thread 0 on poll at litmus.cc:") &&
          Contains("\n  rank 1, CTA 0: 1 threads from thread 3 on are held by a stall in barrier_cta at litmus.cc:") &&
          Contains("\n  rank 1, CTA 0: 31 threads from thread 0 on wait for other threads in barrier_cta at "));
}

TEST_CASE("stalls are written as text") {
  const sim::Stall all =
      sim::parse_stall("rank=1,cta=2,thread=3,at=protocol.cuh:95,occurrence=4,steps=5,milliseconds=6");
  CHECK(all.rank == 1);
  CHECK(all.cta == 2);
  CHECK(all.thread == 3);
  CHECK(all.point == "protocol.cuh:95");
  CHECK(all.occurrence == 4);
  CHECK(all.steps == 5);
  CHECK(all.milliseconds == 6);
  const sim::Stall least = sim::parse_stall("at=store");
  CHECK(least.rank == -1);
  CHECK(least.cta == -1);
  CHECK(least.thread == -1);
  CHECK(least.occurrence == 1);
  CHECK(least.steps == 0);
  CHECK(least.milliseconds == 0);
  const auto refused = [](const std::string& text) {
    return error_of(ErrorCode::kInvalidArgument, [&] { sim::parse_stall(text); });
  };
  CHECK(refused("") == "stall: at=POINT is missing, as in at=barrier_cta");
  CHECK(refused("rank=1") == "stall: at=POINT is missing, as in at=barrier_cta");
  CHECK(refused("rank=x,at=store") == "stall: rank=x given, a whole number is allowed");
  CHECK(refused("rank=-1,at=store") == "stall: rank=-1 given, a whole number is allowed");
  CHECK(refused("rank=,at=store") == "stall: rank= given, a whole number is allowed");
  CHECK(refused("rank,at=store") == "stall: rank= given, a whole number is allowed");
  CHECK(refused("at=store,steps=1.5") == "stall: steps=1.5 given, a whole number is allowed");
  CHECK(refused("at=store,steps=99999999999999999999") ==
        "stall: steps=99999999999999999999 given, a whole number is allowed");
  CHECK(refused("at=store,where=here") ==
        "stall: where given, allowed: rank, cta, thread, at, occurrence, steps, milliseconds");
  CHECK(refused("at=store,occurrence=0") == "stall: occurrence=0 given, the first is 1");
}

// --- the host

TEST_CASE("a write of the host wakes a kernel that polls") {
  Bench bench;
  bench.reset(with_seed(1));
  bench.launch(kernels().get("poll_and_read"));
  CHECK(bench.machine().run(2));
  bench.set_word(0, 7);
  bench.set_word(64, 1);
  bench.machine().synchronize_all();
  CHECK(bench.results(2) == Outcome{0, 7});
  bench.reset(with_seed(1));
  bench.launch(kernels().get("poll_and_read"));
  CHECK(bench.machine().run(2));
  bench.machine().fill(static_cast<void*>(bench.params(0).symmetric[0]), 1, 4 * Bench::kWords);
  bench.machine().synchronize_all();
  CHECK(bench.results(2) == Outcome{0, 1});
}

TEST_CASE("another thread of the host that writes goes on at once with what waits for it") {
  for (std::uint64_t seed = 1; seed <= 8; seed++) {
    Bench bench;
    bench.reset(with_seed(seed));
    bench.launch(kernels().get("poll_and_read"));
    std::atomic<bool> is_known = false;
    std::thread host([&] {
      static_cast<void>(bench.machine().statistics());
      is_known = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      bench.set_word(64, 1);
    });
    while (!is_known) std::this_thread::yield();
    const auto begin = std::chrono::steady_clock::now();
    CHECK_NOTHROW(bench.machine().synchronize_all());
    const auto taken = std::chrono::steady_clock::now() - begin;
    host.join();
    CHECK(taken < std::chrono::milliseconds(700));
  }
}

TEST_CASE("two threads of the host launch a rank each, and both ends are good") {
  // On a fresh machine each: who comes first, and from which thread, differs.
  for (int round = 0; round < 20; round++) {
    Bench bench(2);
    bench.reset(with_seed(static_cast<std::uint64_t>(round)));
    std::atomic<int> failed = 0;
    const auto host = [&](int rank) {
      try {
        if (rank == round % 2) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        bench.launch(kernels().get("meet_other_rank"), rank);
        bench.machine().synchronize(bench.stream(rank));
        if (bench.results(2)[static_cast<std::size_t>(rank)] != 1) failed++;
      } catch (const Error&) {
        failed++;
      }
    };
    std::thread zero(host, 0), one(host, 1);
    zero.join();
    one.join();
    CHECK(failed == 0);
  }
}

TEST_CASE("a failure is told to every thread of the host whose work it drops") {
  for (int round = 0; round < 10; round++) {
    Bench bench(2);
    bench.reset(with_seed(1));
    std::atomic<int> told = 0;
    std::atomic<int> launched = 0;
    const auto host = [&](int rank) {
      bench.launch(kernels().get(rank == 0 ? "fault" : "poll_and_read"), rank);
      launched++;
      while (launched < 2) std::this_thread::yield();
      try {
        bench.machine().synchronize(bench.stream(rank));
      } catch (const Error& error) {
        if (std::string(error.what()).find("reads 4 bytes at 0x0") != std::string::npos) told++;
      }
    };
    std::thread zero(host, 0), one(host, 1);
    zero.join();
    one.join();
    CHECK(told == 2);
    // Once told, it is over.
    CHECK(bench.run(with_seed(1), [](Bench& b) { b.launch(kernels().get("write_weak")); }) == "");
    CHECK_NOTHROW(bench.machine().synchronize(bench.stream(1)));
  }
}

TEST_CASE("a run may go on in parts, and is the same as in one") {
  Bench bench(2);
  for (std::uint64_t seed = 1; seed <= 10; seed++) {
    CHECK(bench.run(with_seed(seed), launch_mix) == "");
    const sim::Statistics whole = bench.machine().statistics();
    bench.reset(with_seed(seed));
    launch_mix(bench);
    std::uint64_t parts = 1;
    for (; bench.machine().run(7); parts++) CHECK(bench.machine().statistics().steps == 7 * parts);
    CHECK(equal(bench.machine().statistics(), whole));
    CHECK(parts == (whole.steps + 6) / 7);
    CHECK_FALSE(bench.machine().run(7));
  }
}

TEST_CASE("synchronising a stream, or a GPU, leaves others' work where it is") {
  Bench bench(2);
  bench.reset(with_seed(1));
  bench.launch(kernels().get("poll_and_read"), 0);
  bench.launch(kernels().get("write_weak"), 2);  // of GPU 0, too
  bench.launch(kernels().get("start_without_shared_memory"), 1);
  bench.machine().synchronize(1);
  CHECK(bench.results(2)[1] == 1);
  bench.machine().synchronize(bench.stream(0));
  bench.machine().synchronize(0);
  bench.machine().synchronize_all();
  CHECK_FALSE(bench.machine().run(1));
}

TEST_CASE("the schedule cannot be changed while calls are queued") {
  Bench bench;
  bench.reset(with_seed(1));
  bench.launch(kernels().get("write_weak"));
  CHECK(error_of(ErrorCode::kInvalidArgument, [&] { bench.machine().set_schedule({}); }) ==
        "schedule: cannot be changed while calls are queued; synchronise first");
  bench.machine().synchronize_all();
  CHECK_NOTHROW(bench.machine().set_schedule({}));
}

// --- memory and streams, as the host sees them

TEST_CASE("memory of the machine has ranges, and nothing else is taken for it") {
  sim::Machine machine({2, 1});
  std::uint32_t words[4] = {1, 2, 3, 4};
  char* const memory = static_cast<char*>(machine.allocate(16, 1, sim::Machine::Reach::kOwnDevice, "sixteen bytes"));
  char* const other = static_cast<char*>(machine.allocate(16, 0, sim::Machine::Reach::kAllDevices, "others"));
  CHECK(memory != other);
  const auto range = machine.range_of(memory + 15);
  CHECK(range.device == 1);
  CHECK(range.begin == sim::address_of(memory));
  CHECK(range.end == sim::address_of(memory) + 16);
  CHECK(machine.range_of(other).device == 0);
  for (const void* none : {static_cast<const void*>(memory + 16), static_cast<const void*>(memory - 1),
                           static_cast<const void*>(words), static_cast<const void*>(nullptr)}) {
    CHECK(machine.range_of(none).device == -1);
  }
  machine.write(memory, words, 16);
  machine.fill(memory + 4, 0xAABBCCDD, 4);
  machine.read(words, memory, 16);
  CHECK(words[0] == 1);
  CHECK(words[1] == 0xAABBCCDD);
  CHECK(words[3] == 4);

  const auto refused = [&](const auto& call) { return error_of(ErrorCode::kInvalidArgument, call); };
  CHECK(refused([&] { machine.read(words, memory + 8, 12); }) ==
        fmt::format("copy from a simulated GPU: 12 bytes from {} on go past the end of sixteen bytes, which holds 16 "
                    "bytes",
                    static_cast<void*>(memory + 8)));
  CHECK_THAT(refused([&] { machine.write(memory + 16, words, 1); }), Contains("go past the end of sixteen bytes"));
  CHECK_THAT(refused([&] { machine.fill(memory, 0, 20); }),
             Contains("fill of a simulated GPU's memory: 20 bytes from ") && Contains("go past the end"));
  CHECK_THAT(refused([&] { machine.write(words, words, 4); }),
             Contains("copy to a simulated GPU: 0x") && Contains(" is not memory of a simulated GPU"));
  machine.free(memory);
  machine.free(nullptr);
  machine.free(words);
  CHECK(machine.range_of(memory).device == -1);
  CHECK_THAT(refused([&] { machine.read(words, memory, 4); }),
             Contains("is not memory of a simulated GPU any more, it was freed"));
  CHECK(machine.range_of(machine.allocate(16, 1, sim::Machine::Reach::kOwnDevice, "new")).begin !=
        sim::address_of(memory));
  CHECK_THAT(error_of(ErrorCode::kDriver,
                      [&] {
                        static_cast<void>(
                            machine.allocate(std::size_t{1} << 41, 0, sim::Machine::Reach::kOwnDevice, "too much"));
                      }),
             Contains("the simulator has no addresses left for 2199023255552 bytes of too much"));
}

TEST_CASE("a multicast address is for kernels, not for the host's copies") {
  sim::Machine machine({2, 1});
  void* const members[] = {machine.allocate(16, 0, sim::Machine::Reach::kAllDevices, "a"),
                           machine.allocate(16, 1, sim::Machine::Reach::kAllDevices, "b")};
  void* const multicast = machine.allocate_multicast(members, 16);
  std::uint32_t word = 1;
  const std::string why = " is a multicast address, which only multicast stores of kernels can use";
  CHECK_THAT(error_of(ErrorCode::kInvalidArgument, [&] { machine.write(multicast, &word, 4); }), Contains(why));
  CHECK_THAT(error_of(ErrorCode::kInvalidArgument, [&] { machine.read(&word, multicast, 4); }), Contains(why));
  CHECK_THAT(error_of(ErrorCode::kInvalidArgument, [&] { machine.fill(multicast, 0, 16); }), Contains(why));
}

TEST_CASE("memory can be freed while stores are on their way to it") {
  Bench bench;
  for (std::uint64_t seed = 1; seed <= 20; seed++) {
    sim::KernelParams params = bench.params(0);
    params.symmetric[0] = static_cast<char*>(
        bench.machine().allocate(4 * Bench::kWords, 0, sim::Machine::Reach::kAllDevices, "short-lived"));
    bench.machine().fill(params.symmetric[0], 0, 4 * Bench::kWords);
    bench.reset(with_seed(seed));
    bench.machine().launch(bench.stream(0), {&kernels().get("write_weak"), 1, params});
    const bool more = bench.machine().run(seed % 4 + 1);
    bench.machine().free(params.symmetric[0]);
    try {
      bench.machine().synchronize_all();
    } catch (const Error& error) {
      CHECK(more);
      CHECK_THAT(error.what(), Contains("of memory that was freed: byte "));
    }
  }
}

TEST_CASE("streams are found by their handles") {
  sim::Machine machine({2, 1});
  sim::Stream* const stream = machine.create_stream(1, true);
  CHECK(machine.find_stream(stream, 0) == stream);
  CHECK(stream->device == 1);
  CHECK(machine.find_stream(nullptr, 1)->device == 1);
  CHECK_FALSE(machine.find_stream(nullptr, 1)->non_blocking);
  CHECK(machine.find_stream(&machine, 0) == nullptr);
  machine.destroy_stream(stream);
  CHECK(machine.find_stream(stream, 0) == nullptr);
}

TEST_CASE("destroying a stream waits for what it holds") {
  Bench bench;
  bench.reset(with_seed(1));
  sim::Stream* const stream = bench.machine().create_stream(0, true);
  bench.machine().launch(stream, {&kernels().get("write_weak"), 1, bench.params(0)});
  bench.machine().destroy_stream(stream);
  CHECK(bench.word(0) == 1);
  CHECK(bench.word(64) == 1);
}

TEST_CASE("a machine has 1 to 72 GPUs") {
  for (const int devices : {0, -1, 73}) {
    CHECK(error_of(ErrorCode::kInvalidArgument, [&] { sim::Machine machine({devices, 1}); }) ==
          fmt::format("sim: {} simulated GPUs were asked for; 1 to 72 are allowed", devices));
  }
  sim::Machine most({72, 1});
  CHECK(most.capacity() == 2048);
}

}  // namespace
}  // namespace allnorm::sim_tests
