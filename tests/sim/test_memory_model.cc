// What kernels see of each other's stores: what the PTX memory model allows is found, and nothing else.
#include <algorithm>
#include <numeric>

#include "catch.h"
#include "sim/litmus.h"

namespace allnorm::sim_tests {
namespace {

constexpr std::uint64_t kSeeds = 300;

LitmusKernels& kernels() {
  static LitmusKernels all(R"(
constexpr u32 kData = 0, kFlag = 64, kOther = 128;

KERNEL(write_weak) {
  store_output(word(params, kData), 1u);
  store_output(word(params, kFlag), 1u);
}
KERNEL(write_data) { store_output(word(params, kData), 1u); }
KERNEL(write_relaxed) {
  store_output(word(params, kData), 1u);
  store_relaxed_system(words4(params, kFlag), {1, 1, 1, 1});
}
KERNEL(write_fenced) {
  store_output(word(params, kData), 1u);
  fence_system();
  store_output(word(params, kFlag), 1u);
}
KERNEL(write_released) {
  store_output(word(params, kData), 1u);
  store_release_system(word(params, kFlag), 1);
}
/// Has passed the data's store on to thread 0, which releases.
KERNEL(write_by_another_thread) {
  if (thread_in_cta() == 33) store_output(word(params, kData), 1u);
  barrier_cta();
  if (thread_in_cta() == 0) store_release_system(word(params, kFlag), 1);
}
KERNEL(read) {
  const u32 flag = load_relaxed_system(word(params, kFlag));
  const u32 data = load_relaxed_system(word(params, kData));
  result(params, 0, flag);
  result(params, 1, data);
}
KERNEL(read_fenced) {
  const u32 flag = load_relaxed_system(word(params, kFlag));
  fence_system();
  const u32 data = load_relaxed_system(word(params, kData));
  result(params, 0, flag);
  result(params, 1, data);
}
KERNEL(poll_and_read) {
  while (load_relaxed_system(word(params, kFlag)) != 1) pause_after_failed_poll();
  result(params, 1, load_relaxed_system(word(params, kData)));
}
KERNEL(poll_fence_and_read) {
  while (load_relaxed_system(word(params, kFlag)) != 1) pause_after_failed_poll();
  fence_system();
  result(params, 1, load_relaxed_system(word(params, kData)));
}
/// Sees the data, and says so.
KERNEL(pass_on) {
  while (load_relaxed_system(word(params, kData)) != 1) pause_after_failed_poll();
  fence_system();
  store_output(word(params, kFlag), 1u);
}

KERNEL(count_up) {
  for (u32 i = 1; i <= 4; i++) store_output(word(params, kData), i);
}
KERNEL(read_four_times) {
  for (u32 i = 0; i < 4; i++) result(params, i, load_relaxed_system(word(params, kData)));
}
KERNEL(count_up_and_read_back) {
  for (u32 i = 1; i <= 4; i++) {
    store_output(word(params, kData), i);
    result(params, i - 1, load_relaxed_system(word(params, kData)));
  }
}
KERNEL(write_99) { store_output(word(params, kData), 99u); }
KERNEL(write_halves_and_read_back) {
  u16* halves = reinterpret_cast<u16*>(word(params, kData));
  for (u32 i = 0; i < 4; i++) {
    store_output(halves, static_cast<u16>(7 + i));
    result(params, i, load_relaxed_system(word(params, kData)) & 0xFFFF);
  }
}
KERNEL(write_wide_and_read_back) {
  store_output(word(params, kData), 5u);
  add_relaxed_gpu(wide(params, kData), 1);
  const u64 sum = load_relaxed_gpu(wide(params, kData));
  result(params, 0, static_cast<u32>(sum));
  result(params, 1, load_relaxed_system(word(params, kData)));
  store_relaxed_system(words4(params, kOther), {1, 2, 3, 4});
  result(params, 2, load_relaxed_system(word(params, kOther + 2)));
  store_output(word(params, kOther + 1), 9u);
  const Words4 v = load_relaxed_system(words4(params, kOther));
  result(params, 3, v.x + 10 * v.y + 100 * v.z + 1000 * v.w);
}

KERNEL(write_vector) { store_relaxed_system(words4(params, kData), {1, 1, 1, 1}); }
KERNEL(read_vector) {
  const Words4 v = load_relaxed_system(words4(params, kData));
  result(params, 0, v.x);
  result(params, 1, v.y);
  result(params, 2, v.z);
  result(params, 3, v.w);
}

/// result[t]: what thread t sees of the next thread's store.
template <typename Meet>
ALLNORM_DEVICE void neighbours(const Params& params, u32 thread, u32 threads, Meet meet) {
  store_output(word(params, thread), thread + 1);
  meet();
  result(params, thread, load_relaxed_system(word(params, (thread + 1) % threads)));
}
KERNEL(meet_in_cta) { neighbours(params, thread_in_cta(), 64, [] { barrier_cta(); }); }
KERNEL(meet_in_cluster) {
  neighbours(params, thread_in_cta() + 32 * cta_in_grid(), 64, [] {
    barrier_cluster_arrive();
    barrier_cluster_wait();
  });
}
KERNEL(do_not_meet) { neighbours(params, thread_in_cta(), 64, [] {}); }
/// Thread 0 of CTA 0 stores between two cluster barriers; CTA 1 looks when it has arrived for the second.
KERNEL(look_between_barriers) {
  barrier_cluster_arrive();
  barrier_cluster_wait();
  if (cta_in_grid() == 0) store_output(word(params, kData), 1u);
  barrier_cluster_arrive();
  if (cta_in_grid() == 1) result(params, 0, load_relaxed_system(word(params, kData)));
  barrier_cluster_wait();
  if (cta_in_grid() == 1) result(params, 1, load_relaxed_system(word(params, kData)));
}

KERNEL(add) {
  for (u32 i = 0; i < 3; i++) add_relaxed_gpu(wide(params, kData), u64{1} << 31);
}
KERNEL(set_and_add) {
  Words2* fresh = reinterpret_cast<Words2*>(params.scale_out);
  store_weak(fresh, {3, 0});
  add_relaxed_gpu(reinterpret_cast<u64*>(fresh), 4);
  result(params, 0, static_cast<u32>(load_relaxed_gpu(reinterpret_cast<u64*>(fresh))));
}
KERNEL(set_and_swap) {
  u32* fresh = reinterpret_cast<u32*>(params.scale_out);
  store_output(fresh, 3u);
  result(params, 0, compare_and_swap_system(fresh, 3, 4));
  result(params, 1, load_relaxed_system(fresh));
}
KERNEL(increment) {
  u32 found = load_relaxed_system(word(params, kData));
  for (;;) {
    const u32 before = compare_and_swap_system(word(params, kData), found, found + 1);
    if (before == found) return;
    found = before;
  }
}
/// Thread 0 stores 5, thread 1 makes a 1 of a 0.
KERNEL(store_beside_swap) {
  if (thread_in_cta() == 0) store_output(word(params, kData), 5u);
  if (thread_in_cta() == 1) result(params, 0, compare_and_swap_system(word(params, kData), 0, 1));
}

KERNEL(store_one_load_other) {
  const u32 mine = params.rank == 0 ? kData : kFlag, other = params.rank == 0 ? kFlag : kData;
  store_output(word(params, mine), 1u);
  result(params, params.rank, load_relaxed_system(word(params, other)));
}
KERNEL(store_one_fence_load_other) {
  const u32 mine = params.rank == 0 ? kData : kFlag, other = params.rank == 0 ? kFlag : kData;
  store_output(word(params, mine), 1u);
  fence_system();
  result(params, params.rank, load_relaxed_system(word(params, other)));
}
)");
  return all;
}

/// What a writer and a reader on two GPUs give: {flag, data}.
std::set<Outcome> message_passing(const char* writer, const char* reader, const sim::Schedule& schedule = {},
                                  unsigned writer_threads = 1) {
  Bench bench(2);
  return bench.outcomes(
      2,
      [&](Bench& b) {
        b.launch(kernels().get(writer, {writer_threads}), 0);
        b.launch(kernels().get(reader), 1);
      },
      schedule, kSeeds);
}

const std::set<Outcome> kAll = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
const std::set<Outcome> kInOrder = {{0, 0}, {0, 1}, {1, 1}};

TEST_CASE("a weak or relaxed flag may arrive before the data that was stored before it") {
  CHECK(message_passing("write_weak", "read") == kAll);
  CHECK(message_passing("write_weak", "read", without_stale_loads()) == kAll);
  CHECK(message_passing("write_relaxed", "read_fenced", without_stale_loads()) == kAll);
}

TEST_CASE("a released flag never arrives before the data") {
  CHECK(message_passing("write_released", "read", without_stale_loads()) == kInOrder);
  CHECK(message_passing("write_fenced", "read", without_stale_loads()) == kInOrder);
  CHECK(message_passing("write_released", "poll_and_read", without_stale_loads()) == std::set<Outcome>{{0, 1}});
}

TEST_CASE("without a fence the reader of a released flag may still load old data") {
  CHECK(message_passing("write_released", "read") == kAll);
  CHECK(message_passing("write_released", "poll_and_read") == std::set<Outcome>{{0, 0}, {0, 1}});
}

TEST_CASE("release and a fence at the reader leave nothing old") {
  CHECK(message_passing("write_released", "read_fenced") == kInOrder);
  CHECK(message_passing("write_fenced", "read_fenced") == kInOrder);
  CHECK(message_passing("write_released", "poll_fence_and_read") == std::set<Outcome>{{0, 1}});
}

TEST_CASE("a release takes along what other threads stored before a barrier of the CTA") {
  CHECK(message_passing("write_by_another_thread", "poll_fence_and_read", {}, 64) == std::set<Outcome>{{0, 1}});
}

TEST_CASE("what a thread has seen and passes on after a fence is seen by the third") {
  Bench bench(3);
  const auto of = [&](const char* reader) {
    const auto found = bench.outcomes(2, [&](Bench& b) {
      b.launch(kernels().get("write_data"), 0);
      b.launch(kernels().get("pass_on"), 1);
      b.launch(kernels().get(reader), 2);
    });
    return column(found, 1);
  };
  CHECK(of("poll_fence_and_read") == std::set<std::uint32_t>{1});
  CHECK(of("poll_and_read") == std::set<std::uint32_t>{0, 1});
}

TEST_CASE("stores of a thread to one word arrive in order, whatever else does not") {
  Bench bench(2);
  const auto found = bench.outcomes(4, [](Bench& b) {
    b.launch(kernels().get("count_up"), 0);
    b.launch(kernels().get("read_four_times"), 1);
  });
  for (const Outcome& each : found) CHECK(std::is_sorted(each.begin(), each.end()));
  CHECK(found.size() > 10);
}

TEST_CASE("a thread sees its own stores at once") {
  Bench bench(2);
  CHECK(bench.outcomes(4, [](Bench& b) { b.launch(kernels().get("count_up_and_read_back")); }) ==
        std::set<Outcome>{{1, 2, 3, 4}});
  CHECK(bench.outcomes(4, [](Bench& b) { b.launch(kernels().get("write_wide_and_read_back")); }) ==
        std::set<Outcome>{{6, 6, 3, 4391}});
  // Beside another GPU's store to the word, which may be the last, or come between.
  for (const Outcome& each : bench.outcomes(4, [](Bench& b) {
         b.launch(kernels().get("count_up_and_read_back"), 0);
         b.launch(kernels().get("write_99"), 1);
       })) {
    for (std::uint32_t i = 0; i < 4; i++) CHECK((each[i] == i + 1 || each[i] == 99));
  }
}

TEST_CASE("a thread sees its own stores of half a word, beside what another stores to the word") {
  Bench bench(2);
  for (const Outcome& each : bench.outcomes(4, [](Bench& b) {
         b.launch(kernels().get("write_halves_and_read_back"), 0);
         b.launch(kernels().get("write_99"), 1);
       })) {
    for (std::uint32_t i = 0; i < 4; i++) CHECK((each[i] == i + 7 || each[i] == 99));
  }
}

TEST_CASE("a vector store arrives in parts") {
  Bench bench(2);
  const auto launches = [](Bench& b) {
    b.launch(kernels().get("write_vector"), 0);
    b.launch(kernels().get("read_vector"), 1);
  };
  CHECK(bench.outcomes(4, launches, without_stale_loads(), 5 * kSeeds).size() == 16);
  // As 16 bytes that arrive at once, if the schedule says so.
  sim::Schedule whole = without_stale_loads();
  whole.split_vectors = false;
  CHECK(bench.outcomes(4, launches, whole) == std::set<Outcome>{{0, 0, 0, 0}, {1, 1, 1, 1}});
}

TEST_CASE("stores are visible to the CTA after its barrier, and to the cluster after the cluster's") {
  Bench bench;
  Outcome all(64);
  std::iota(all.begin(), all.end(), 2);
  all.back() = 1;
  const auto of = [&](const char* name, unsigned threads, unsigned ctas) {
    return bench.outcomes(64, [&](Bench& b) { b.launch(kernels().get(name, {threads, ctas})); });
  };
  CHECK(of("meet_in_cta", 64, 1) == std::set<Outcome>{all});
  CHECK(of("meet_in_cluster", 32, 2) == std::set<Outcome>{all});
  CHECK(of("do_not_meet", 64, 1).size() > 10);
}

TEST_CASE("between arriving and waiting at a cluster barrier, a store of the other CTA may be missing") {
  Bench bench;
  const auto found = bench.outcomes(2, [](Bench& b) { b.launch(kernels().get("look_between_barriers", {1, 2})); });
  CHECK(found == std::set<Outcome>{{0, 1}, {1, 1}});
}

TEST_CASE("adds lose nothing") {
  Bench bench(1, 4, 2);
  for (std::uint64_t seed = 1; seed <= 20; seed++) {
    CHECK(bench.run(with_seed(seed), [](Bench& b) {
      b.launch(kernels().get("add", {64, 2}), 0, 3);
      b.launch(kernels().get("add", {32, 1}), 1, 2);
    }) == "");
    const std::uint64_t sum = bench.word(0) | std::uint64_t{bench.word(1)} << 32;
    CHECK(sum == (64 * 2 * 3 + 32 * 2) * 3 * (std::uint64_t{1} << 31));
  }
}

TEST_CASE("compare and swap loses nothing") {
  Bench bench(2);
  for (std::uint64_t seed = 1; seed <= 20; seed++) {
    CHECK(bench.run(with_seed(seed), [](Bench& b) {
      b.launch(kernels().get("increment", {64, 2}), 0, 2);
      b.launch(kernels().get("increment", {32, 1}), 1, 3);
      b.launch(kernels().get("increment", {32, 1}), 2, 1);
    }) == "");
    CHECK(bench.word(0) == 64 * 2 * 2 + 32 * 3 + 32);
  }
}

TEST_CASE("nothing comes between what a compare and swap finds and what it stores") {
  Bench bench;
  std::set<Outcome> found;
  for (std::uint64_t seed = 1; seed <= kSeeds; seed++) {
    CHECK(bench.run(with_seed(seed), [](Bench& b) { b.launch(kernels().get("store_beside_swap", {2})); }) == "");
    found.insert({bench.results(1)[0], bench.word(0)});
  }
  CHECK(found == std::set<Outcome>{{0, 5}, {5, 5}});
}

TEST_CASE("a thread may add to, and swap, what it has just stored") {
  Bench bench;
  for (std::uint64_t seed = 1; seed <= 20; seed++) {
    const auto launch = [&](const char* name) {
      return bench.run(with_seed(seed), [&](Bench& b) {
        sim::KernelParams params = b.params(0);
        params.scale_out = b.machine().allocate(8, 0, sim::Machine::Reach::kOwnDevice, "fresh memory");
        b.machine().launch(b.stream(0), {&kernels().get(name), 1, params});
      });
    };
    CHECK(launch("set_and_add") == "");
    CHECK(bench.results(1)[0] == 7);
    CHECK(launch("set_and_swap") == "");
    CHECK(bench.results(2) == Outcome{3, 4});
  }
}

TEST_CASE("two that store and then look at the other may both see nothing, with acquire and release fences too") {
  Bench bench(2);
  const auto of = [&](const char* name) {
    return bench.outcomes(2, [&](Bench& b) {
      b.launch(kernels().get(name), 0);
      b.launch(kernels().get(name), 1);
    });
  };
  CHECK(of("store_one_load_other") == kAll);
  CHECK(of("store_one_fence_load_other") == kAll);
}

}  // namespace
}  // namespace allnorm::sim_tests
