// What the simulator finds wrong with a kernel: who, where, what; and that it goes on afterwards.
#include <cstdint>

#include "allnorm/error.h"
#include "catch.h"
#include "sim/litmus.h"

namespace allnorm::sim_tests {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

LitmusKernels& kernels() {
  static LitmusKernels all(R"(
struct Shared {
  float values[4];
};

/// Thread 3 of CTA 1 alone; the address is params.input.
ALLNORM_DEVICE bool is_the_one() { return thread_in_cta() == 3 && cta_in_grid() == 1; }
template <typename T>
ALLNORM_DEVICE T* at(const Params& params) {
  return static_cast<T*>(const_cast<void*>(params.input));
}

KERNEL(load_word) { if (is_the_one()) load_relaxed_system(at<u32>(params)); }  // load_word
KERNEL(load_vector) { if (is_the_one()) load_input(at<Words4>(params)); }  // load_vector
KERNEL(load_double) { if (is_the_one()) load_relaxed_gpu(at<u64>(params)); }  // load_double
KERNEL(store_word) { if (is_the_one()) store_output(at<u32>(params), 1u); }  // store_word
KERNEL(store_vector) { if (is_the_one()) store_relaxed_system(at<Words4>(params), {1, 2, 3, 4}); }  // store_vector
KERNEL(release) { if (is_the_one()) store_release_system(at<u32>(params), 1); }  // release
KERNEL(multicast) { if (is_the_one()) store_multicast(at<Words4>(params), {1, 2, 3, 4}); }  // multicast
KERNEL(add) { if (is_the_one()) add_relaxed_gpu(at<u64>(params), 1); }  // add
KERNEL(swap) { if (is_the_one()) compare_and_swap_system(at<u32>(params), 0, 1); }  // swap

KERNEL(read_shared_past_the_end) {
  ALLNORM_SHARED(Shared, shared);
  if (is_the_one()) load_shared(&shared.values[4]);  // past
}
KERNEL(write_shared_before_the_start) {
  ALLNORM_SHARED(Shared, shared);
  if (is_the_one()) store_shared(&shared.values[0] - 1, 1.0f);  // before
}
KERNEL(read_shared_never_written) {
  ALLNORM_SHARED(Shared, shared);
  if (is_the_one()) load_shared(&shared.values[2]);  // unwritten
}

/// For ever: each changes what the other polls.
KERNEL(toggle) {
  for (u32 i = 0;; i++) {
    store_output(word(params, 64 * params.rank), i);
    load_relaxed_system(word(params, 64 * (1 - params.rank)));
    pause_after_failed_poll();
  }
}
KERNEL(poll_without_pause) { while (load_relaxed_system(word(params, 0)) == 0) {} }
KERNEL(wait_for_word) { while (load_relaxed_system(word(params, 70)) != 1) pause_after_failed_poll(); }  // waits
KERNEL(wait_for_word_or_barrier) {
  if (thread_in_cta() < 5) {
    while (load_relaxed_system(word(params, 70)) != 1) pause_after_failed_poll();  // polls
  }
  barrier_cta();  // meets
}
/// result[0]: how many milliseconds it took.
KERNEL(wait_for_clock) {
  const u64 begin = clock_nanoseconds();
  while (clock_nanoseconds() - begin < u64{params.tokens} * 1000000) pause_after_failed_poll();
  result(params, 0, static_cast<u32>((clock_nanoseconds() - begin) / 1000000));
}
KERNEL(wait_for_word_or_clock) {
  const u64 begin = clock_nanoseconds();
  while (load_relaxed_system(word(params, 70)) != 1) {
    pause_after_failed_poll();
    if (clock_nanoseconds() - begin > u64{params.tokens} * 1000000) {
      result(params, 0, 1);
      return;
    }
  }
}
/// Two loads of one line of 16 bytes.
KERNEL(poll_two_words) {
  for (u32 first = 0, second = 0; first != 1 || second != 1;) {
    first = load_relaxed_system(word(params, 80));
    second = load_relaxed_system(word(params, 81));
    if (first != 1 || second != 1) pause_after_failed_poll();
  }
}
KERNEL(write_two_words) {
  store_output(word(params, 81), 1u);
  fence_system();
  store_output(word(params, 80), 2u);
  fence_system();
  store_output(word(params, 80), 1u);
}
KERNEL(good) { result(params, thread_in_cta() + 32 * cta_in_grid(), 1); }
)");
  return all;
}

constexpr LitmusKernels::Shape kWarp = {32};

void check_good(Bench& bench) {
  CHECK(bench.run(with_seed(1), [](Bench& b) { b.launch(kernels().get("good", kWarp), 0, 2); }) == "");
  CHECK(bench.results(64) == Outcome(64, 1));
}

/// Of a kernel that rank 1, on GPU 1, runs with this address.
std::string fault_of(Bench& bench, const char* name, const void* address) {
  const std::string message = bench.run(with_seed(7), [&](Bench& b) {
    sim::KernelParams params = b.params(1);
    params.input = address;
    b.machine().launch(b.stream(1), {&kernels().get(name, kWarp), 2, params});
    b.launch(kernels().get("good", kWarp), 0, 2);
  });
  check_good(bench);
  return message;
}

/// "simulator: rank 1, CTA 1, thread 3 (NAME, launch 0): WHAT (OPERATION at litmus.cc:LINE)"
std::string expected(const char* name, const std::string& what, const char* operation, const char* marker = nullptr) {
  return std::string("simulator: rank 1, CTA 1, thread 3 (") + name + ", launch 0): " + what + " (" + operation +
         " at " + kernels().line(marker == nullptr ? name : marker) + ")";
}

struct Memories {
  explicit Memories(Bench& bench) {
    sim::Machine& machine = bench.machine();
    for (int gpu = 0; gpu < 2; gpu++) {
      own[gpu] = allocate(machine, gpu, sim::Machine::Reach::kOwnDevice, "own memory");
      shared[gpu] = allocate(machine, gpu, sim::Machine::Reach::kAllDevices, "symmetric memory");
    }
    void* const members[] = {shared[0], shared[1]};
    multicast = static_cast<char*>(machine.allocate_multicast(members, 64));
  }
  static char* allocate(sim::Machine& machine, int gpu, sim::Machine::Reach reach, const std::string& what) {
    void* memory = machine.allocate(64, gpu, reach, what + " of GPU " + std::to_string(gpu));
    machine.fill(memory, 0, 48);  // the last 16 bytes are never written
    return static_cast<char*>(memory);
  }
  char* own[2];
  char* shared[2];
  char* multicast;
};

TEST_CASE("an access past the end of an allocation is an error") {
  Bench bench(2);
  const Memories memory(bench);
  char* const own = memory.own[1];
  CHECK(fault_of(bench, "load_word", own + 64) ==
        expected("load_word", "reads 4 bytes out of bounds: byte 64 of own memory of GPU 1, which holds 64", "load"));
  CHECK(
      fault_of(bench, "load_vector", own + 64) ==
      expected("load_vector", "reads 16 bytes out of bounds: byte 64 of own memory of GPU 1, which holds 64", "load"));
  CHECK(fault_of(bench, "store_vector", own + 4096) ==
        expected("store_vector", "writes 16 bytes out of bounds: byte 4096 of own memory of GPU 1, which holds 64",
                 "store"));
  CHECK(fault_of(bench, "add", own + 64) ==
        expected("add", "adds to 8 bytes out of bounds: byte 64 of own memory of GPU 1, which holds 64", "add"));
  CHECK_THAT(fault_of(bench, "store_word", own - 4), Contains("which is not memory of a simulated GPU (store at "));
  CHECK_THAT(fault_of(bench, "store_word", own + (1 << 16)), Contains("which is not memory of a simulated GPU"));
}

TEST_CASE("an access to memory that was freed is an error") {
  Bench bench(2);
  const Memories memory(bench);
  bench.machine().free(memory.own[1]);
  CHECK(fault_of(bench, "store_word", memory.own[1] + 4) ==
        expected("store_word", "writes 4 bytes of memory that was freed: byte 4 of own memory of GPU 1, which holds 64",
                 "store"));
  bench.machine().free(memory.shared[0]);
  CHECK(fault_of(bench, "multicast", memory.multicast) ==
        expected("multicast", "stores to a multicast address of which a part was freed: symmetric memory of GPU 0",
                 "store"));
}

TEST_CASE("an access that is not aligned is an error") {
  Bench bench(2);
  const Memories memory(bench);
  CHECK(fault_of(bench, "load_word", memory.own[1] + 2) ==
        expected("load_word", "reads 4 bytes that are not aligned: byte 2 of own memory of GPU 1, which holds 64",
                 "load"));
  CHECK(fault_of(bench, "store_vector", memory.own[1] + 8) ==
        expected("store_vector", "writes 16 bytes that are not aligned: byte 8 of own memory of GPU 1, which holds 64",
                 "store"));
  CHECK(fault_of(bench, "load_double", memory.own[1] + 4) ==
        expected("load_double", "reads 8 bytes that are not aligned: byte 4 of own memory of GPU 1, which holds 64",
                 "load"));
}

TEST_CASE("a load of what was never written is an error") {
  Bench bench(2);
  const Memories memory(bench);
  char* const own = memory.own[1];
  CHECK(fault_of(bench, "load_word", own + 48) ==
        expected("load_word", "reads 4 bytes that were never written: byte 48 of own memory of GPU 1, which holds 64",
                 "load"));
  // Half of it was: the word at fault is named.
  bench.machine().fill(own + 48, 0, 8);
  CHECK(fault_of(bench, "load_vector", own + 48) ==
        expected("load_vector", "reads 4 bytes that were never written: byte 56 of own memory of GPU 1, which holds 64",
                 "load"));
  CHECK(fault_of(bench, "add", own + 56) ==
        expected("add", "changes 8 bytes that were never written: byte 56 of own memory of GPU 1, which holds 64",
                 "add"));
  CHECK(fault_of(bench, "swap", own + 60) ==
        expected("swap", "changes 4 bytes that were never written: byte 60 of own memory of GPU 1, which holds 64",
                 "compare_and_swap"));
  CHECK(fault_of(bench, "load_vector", own) == "");
}

TEST_CASE("an access to another GPU's own memory is an error, to memory of all GPUs it is not") {
  Bench bench(2);
  const Memories memory(bench);
  CHECK(fault_of(bench, "load_word", memory.own[0]) ==
        expected("load_word",
                 "reads 4 bytes of another GPU's own memory: byte 0 of own memory of GPU 0, which holds 64", "load"));
  CHECK(fault_of(bench, "release", memory.own[0]) ==
        expected("release", "writes 4 bytes of another GPU's own memory: byte 0 of own memory of GPU 0, which holds 64",
                 "store"));
  CHECK(fault_of(bench, "load_word", memory.shared[0]) == "");
  CHECK(fault_of(bench, "load_word", memory.own[1]) == "");
}

TEST_CASE("an access to memory of the host, or to null, is an error") {
  Bench bench(2);
  std::uint32_t on_host[4] = {};
  CHECK_THAT(fault_of(bench, "load_word", on_host),
             StartsWith("simulator: rank 1, CTA 1, thread 3 (load_word, launch 0): reads 4 bytes at 0x") &&
                 EndsWith(", which is not memory of a simulated GPU (load at " + kernels().line("load_word") + ")"));
  CHECK(fault_of(bench, "store_word", nullptr) ==
        expected("store_word", "writes 4 bytes at 0x0, which is not memory of a simulated GPU", "store"));
}

TEST_CASE("multicast addresses take multicast stores, these alone, and no others do") {
  Bench bench(2);
  const Memories memory(bench);
  const std::string only =
      " at a multicast address, where only multicast stores are allowed: byte 16 of a multicast "
      "address, which holds 64";
  CHECK(fault_of(bench, "store_word", memory.multicast + 16) ==
        expected("store_word", "writes 4 bytes" + only, "store"));
  CHECK(fault_of(bench, "store_vector", memory.multicast + 16) ==
        expected("store_vector", "writes 16 bytes" + only, "store"));
  CHECK(fault_of(bench, "load_word", memory.multicast + 16) == expected("load_word", "reads 4 bytes" + only, "load"));
  CHECK(fault_of(bench, "add", memory.multicast + 16) == expected("add", "adds to 8 bytes" + only, "add"));
  CHECK(fault_of(bench, "multicast", memory.shared[1]) ==
        expected("multicast",
                 "writes 16 bytes by multicast, at an address that is none: byte 0 of symmetric memory of GPU 1, which "
                 "holds 64",
                 "store"));
  CHECK(fault_of(bench, "multicast", memory.multicast + 16) == "");
  for (const char* each : memory.shared) {
    std::uint32_t words[12];
    bench.machine().read(words, each, sizeof(words));
    CHECK(words[3] == 0);
    for (unsigned i = 0; i < 4; i++) CHECK(words[4 + i] == i + 1);
    CHECK(words[8] == 0);
  }
}

TEST_CASE("shared memory is only read where it was written, and used within its bounds") {
  Bench bench(2);
  CHECK(fault_of(bench, "read_shared_past_the_end", nullptr) ==
        expected("read_shared_past_the_end", "uses 4 bytes of shared memory at byte 16 of 16", "load_shared", "past"));
  CHECK(fault_of(bench, "write_shared_before_the_start", nullptr) ==
        expected("write_shared_before_the_start", "uses 4 bytes of shared memory at byte -4 of 16", "store_shared",
                 "before"));
  CHECK(fault_of(bench, "read_shared_never_written", nullptr) ==
        expected("read_shared_never_written", "reads shared memory that was never written, at byte 8", "load_shared",
                 "unwritten"));
}

TEST_CASE("a livelock uses up the budget of steps") {
  Bench bench(2);
  sim::Schedule schedule;
  schedule.step_budget = 5000;
  const auto launches = [](Bench& b) {
    b.launch(kernels().get("toggle"), 0);
    b.launch(kernels().get("toggle"), 1);
  };
  CHECK(bench.run(schedule, launches) == "simulator: the run took more than 5000 steps; a livelock?");
  CHECK(bench.machine().statistics().steps == 5001);
  check_good(bench);
}

TEST_CASE("a kernel that polls without saying so is a livelock as well, under every policy") {
  Bench bench;
  for (const sim::Policy policy : {sim::Policy::kRandom, sim::Policy::kRoundRobin, sim::Policy::kReplay}) {
    sim::Schedule schedule;
    schedule.step_budget = 100;
    schedule.policy = policy;
    for (schedule.seed = 1; schedule.seed <= 10; schedule.seed++) {
      CHECK_THAT(bench.run(schedule, [](Bench& b) { b.launch(kernels().get("poll_without_pause"), 0); }),
                 Contains("a livelock?"));
    }
  }
}

TEST_CASE("a deadlock report says who polls which place, who waits at which barrier, and for which kernel") {
  Bench bench(2);
  const std::string message = bench.run(with_seed(3), [](Bench& b) {
    b.launch(kernels().get("wait_for_word_or_barrier", {32}), 0, 2);
    b.launch(kernels().get("good"), 0);
    b.launch(kernels().get("wait_for_word"), 1);
  });
  CHECK_THAT(message, StartsWith("simulator: deadlock: nothing can go on\n"));
  for (const std::string cta : {"0", "1"}) {
    CHECK_THAT(message, Contains("\n  rank 0, CTA " + cta + ": 5 threads from thread 0 on poll at " +
                                 kernels().line("polls") + ": byte 280 of the words, which holds 16384\n"));
    CHECK_THAT(message, Contains("\n  rank 0, CTA " + cta +
                                 ": 27 threads from thread 5 on wait for other threads in barrier_cta at " +
                                 kernels().line("meets")));
  }
  CHECK_THAT(message, Contains("\n  rank 0: good (launch 1) waits for the kernel before it\n"));
  CHECK_THAT(message, Contains("\n  rank 1, CTA 0: 1 threads from thread 0 on poll at " + kernels().line("waits") +
                               ": byte 280 of the words, which holds 16384"));
  check_good(bench);
}

TEST_CASE("time goes on where nothing else can, so that a kernel that waits for the clock ends") {
  Bench bench;
  for (const std::uint32_t milliseconds : {1U, 50U, 30'000U}) {
    const auto launch = [&](const char* name) {
      return bench.run(with_seed(milliseconds), [&](Bench& b) {
        sim::KernelParams params = b.params(0);
        params.tokens = milliseconds;
        b.machine().launch(b.stream(0), {&kernels().get(name), 1, params});
      });
    };
    CHECK(launch("wait_for_clock") == "");
    CHECK(bench.results(1)[0] >= milliseconds);
    CHECK(bench.results(1)[0] <= 3 * milliseconds + 3);
    CHECK(bench.machine().statistics().steps < 1000);
    CHECK(launch("wait_for_word_or_clock") == "");
    CHECK(bench.results(1)[0] == 1);
  }
}

TEST_CASE("time goes on for a thread that waits while another is woken that polls two words side by side") {
  Bench bench(3);
  for (std::uint64_t seed = 1; seed <= 300; seed++) {
    CHECK(bench.run(with_seed(seed), [](Bench& b) {
      sim::KernelParams params = b.params(1);
      params.tokens = 5;
      b.launch(kernels().get("poll_two_words"), 0);
      b.machine().launch(b.stream(1), {&kernels().get("wait_for_word_or_clock"), 1, params});
      b.launch(kernels().get("write_two_words"), 2);
    }) == "");
    CHECK(bench.results(1)[0] == 1);
  }
}

TEST_CASE("time hardly goes on while something else can") {
  Bench bench;
  CHECK(bench.run(with_seed(1), [](Bench& b) {
    sim::KernelParams params = b.params(0);
    params.tokens = 20;
    b.machine().launch(b.stream(0), {&kernels().get("wait_for_word_or_clock"), 1, params});
    b.launch(kernels().get("good", {1024}), 1, 8);
    b.machine().run(300);
    CHECK(b.results(1)[0] == 0);
    b.set_word(70, 1);
  }) == "");
}

}  // namespace
}  // namespace allnorm::sim_tests
