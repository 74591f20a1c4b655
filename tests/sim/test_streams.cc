// Streams of the simulator: what the end of a kernel orders, dependent launches, graphs, and what is resident.
#include <algorithm>

#include "allnorm/error.h"
#include "catch.h"
#include "error_of.h"
#include "sim/litmus.h"

namespace allnorm::sim_tests {
namespace {

using allnorm::testing::error_of;
using Catch::Matchers::Contains;

LitmusKernels& kernels() {
  static LitmusKernels all(R"(
constexpr u32 kThreads = 64, kStarted = 1024, kGo = 1056, kInside = 1088, kTicket = 1120;

ALLNORM_DEVICE u32 own_index() { return thread_in_cta() + kThreads * cta_in_grid(); }
ALLNORM_DEVICE void wait_for(const Params& params, u32 at, u32 value, ALLNORM_AT) {
  while (load_relaxed_system(word(params, at), file, line) != value) pause_after_failed_poll(file, line);
}

KERNEL(write_all) { store_output(word(params, own_index()), 1u); }
KERNEL(trigger_and_write_all) {
  grid_dependency_launch();
  store_output(word(params, own_index()), 1u);
}
/// result[i]: word i.
KERNEL(read_all) { result(params, own_index(), load_relaxed_system(word(params, own_index()))); }
KERNEL(wait_and_read_all) {
  grid_dependency_wait();
  result(params, own_index(), load_relaxed_system(word(params, own_index())));
}
/// Only ends when a kernel beside it has started.
KERNEL(trigger_and_wait_for_start) {
  grid_dependency_launch();
  wait_for(params, kStarted, 1);
}
KERNEL(wait_for_start) { wait_for(params, kStarted, 1); }
KERNEL(start) { store_output(word(params, kStarted), 1u); }
/// CTA 2 looks for the dependent before it triggers; CTA 1 ends without a trigger; the others wait for the dependent.
KERNEL(trigger_last) {
  if (cta_in_grid() == 1) return;
  if (cta_in_grid() == 2) result(params, 0, load_relaxed_system(word(params, kStarted)));
  grid_dependency_launch();
  wait_for(params, kStarted, 1);
}
KERNEL(wait_and_start) {
  grid_dependency_wait();
  store_output(word(params, kStarted), 1u);
}
/// Each of two waits for the other.
KERNEL(meet) {
  store_output(word(params, kGo + params.rank), 1u);
  wait_for(params, kGo + 1 - params.rank, 1);
}
KERNEL(count) { add_relaxed_gpu(wide(params, 0), 1); }
/// Each launch doubles what the one before it has left, and adds one.
KERNEL(double_and_add) {
  const u32 before = load_relaxed_system(word(params, 0));
  store_output(word(params, 0), 2 * before + params.rank);
}
/// result[c]: how many CTAs are resident, and 100 times its place in the order of starting.
KERNEL(count_inside) {
  add_relaxed_gpu(wide(params, kInside), 1);
  fence_system();
  u32 ticket = 0;
  for (u32 before; (before = compare_and_swap_system(word(params, kTicket), ticket, ticket + 1)) != ticket;) {
    ticket = before;
  }
  result(params, cta_in_grid(), 100 * ticket + static_cast<u32>(load_relaxed_gpu(wide(params, kInside))));
  add_relaxed_gpu(wide(params, kInside), ~u64{0});
  fence_system();
}
KERNEL(wait_for_all_ctas) {
  add_relaxed_gpu(wide(params, 0), 1);
  while (load_relaxed_gpu(wide(params, 0)) != ctas_in_grid()) pause_after_failed_poll();
}
)");
  return all;
}

constexpr LitmusKernels::Shape kCta = {64};
constexpr LitmusKernels::Shape kDependentCta = {64, 1, true};
constexpr LitmusKernels::Shape kDependent = {1, 1, true};
constexpr std::uint64_t kSeeds = 100;

/// What the second of two kernels of a stream reads: two CTAs of each.
std::set<Outcome> successors(const sim::Kernel& first, const sim::Kernel& second) {
  Bench bench;
  return bench.outcomes(
      128,
      [&](Bench& b) {
        b.launch(first, 0, 2);
        b.launch(second, 0, 2);
      },
      {}, kSeeds);
}

bool has_old_values(const std::set<Outcome>& found) {
  return std::any_of(found.begin(), found.end(),
                     [](const Outcome& each) { return std::find(each.begin(), each.end(), 0U) != each.end(); });
}

TEST_CASE("the next kernel of a stream sees all that the one before has stored") {
  CHECK_FALSE(has_old_values(successors(kernels().get("write_all", kCta), kernels().get("read_all", kCta))));
  CHECK_FALSE(
      has_old_values(successors(kernels().get("trigger_and_write_all", kCta), kernels().get("read_all", kCta))));
}

TEST_CASE("a dependent kernel sees old values until it has waited, and then none") {
  const auto& first = kernels().get("trigger_and_write_all", kCta);
  CHECK(has_old_values(successors(first, kernels().get("read_all", kDependentCta))));
  CHECK_FALSE(has_old_values(successors(first, kernels().get("wait_and_read_all", kDependentCta))));
}

TEST_CASE("a kernel that triggers nothing is over before its dependent starts, but its stores may be under way") {
  const auto& first = kernels().get("write_all", kCta);
  CHECK(has_old_values(successors(first, kernels().get("read_all", kDependentCta))));
  CHECK_FALSE(has_old_values(successors(first, kernels().get("wait_and_read_all", kDependentCta))));
}

TEST_CASE("a dependent kernel starts before the one before it has ended") {
  Bench bench;
  for (std::uint64_t seed = 1; seed <= kSeeds; seed++) {
    CHECK(bench.run(with_seed(seed), [](Bench& b) {
      b.launch(kernels().get("trigger_and_wait_for_start"));
      b.launch(kernels().get("start", kDependent));
    }) == "");
  }
}

TEST_CASE("a kernel that was not launched as a dependent starts only after the end of the one before it") {
  Bench bench;
  const std::string failure = bench.run(with_seed(1), [](Bench& b) {
    b.launch(kernels().get("trigger_and_wait_for_start"));
    b.launch(kernels().get("start"));
  });
  CHECK_THAT(failure, Contains("deadlock") && Contains("rank 0: start (launch 1) waits for the kernel before it"));
}

TEST_CASE("a dependent kernel starts when all CTAs have triggered or ended, and not before") {
  Bench bench;
  std::set<Outcome> found;
  CHECK_NOTHROW(found = bench.outcomes(
                    1,
                    [](Bench& b) {
                      b.launch(kernels().get("trigger_last"), 0, 4);
                      b.launch(kernels().get("start", kDependent));
                    },
                    {}, kSeeds));
  CHECK(found == std::set<Outcome>{{0}});
}

TEST_CASE("a dependent kernel that waits for one that waits for it is a deadlock") {
  Bench bench;
  const std::string failure = bench.run(with_seed(1), [](Bench& b) {
    b.launch(kernels().get("trigger_and_wait_for_start"));
    b.launch(kernels().get("wait_and_start", kDependent));
  });
  CHECK_THAT(failure, Contains("threads from thread 0 on wait for the kernel before to complete in dependency_wait"));
}

TEST_CASE("a dependent of a dependent waits for both") {
  Bench bench;
  const auto found = bench.outcomes(
      128,
      [](Bench& b) {
        b.launch(kernels().get("trigger_and_write_all", kCta), 0, 2);
        b.launch(kernels().get("wait_and_read_all", kDependentCta), 0, 2);
        b.launch(kernels().get("wait_and_read_all", kDependentCta), 0, 2);
      },
      {}, kSeeds);
  CHECK_FALSE(has_old_values(found));
}

TEST_CASE("two streams of a GPU run beside each other, and one after another within a stream") {
  Bench bench;
  for (std::uint64_t seed = 1; seed <= kSeeds; seed++) {
    CHECK(bench.run(with_seed(seed), [](Bench& b) {
      b.launch(kernels().get("meet"), 0);
      b.launch(kernels().get("meet"), 1);
    }) == "");
  }
  CHECK_THAT(bench.run(with_seed(1),
                       [](Bench& b) {
                         sim::KernelParams other = b.params(1);
                         b.launch(kernels().get("meet"), 0);
                         b.machine().launch(b.stream(0), {&kernels().get("meet"), 1, other});
                       }),
             Contains("deadlock"));
}

TEST_CASE("a captured graph runs its kernels in order, as often as it is launched") {
  Bench bench;
  bench.reset({});
  sim::Machine& machine = bench.machine();
  machine.begin_capture(bench.stream(0));
  bench.launch(kernels().get("double_and_add"), 0);
  sim::KernelParams one = bench.params(1);
  machine.launch(bench.stream(0), {&kernels().get("double_and_add"), 1, one});
  const sim::Graph graph = machine.end_capture(bench.stream(0));
  machine.synchronize_all();
  CHECK(bench.word(0) == 0);
  CHECK(machine.statistics().launches == 0);
  for (int i = 0; i < 2; i++) machine.launch(bench.stream(0), graph);
  machine.synchronize_all();
  CHECK(bench.word(0) == 5);  // 2 * (2 * (2 * (2 * 0 + 0) + 1) + 0) + 1
  CHECK(machine.statistics().launches == 4);
}

TEST_CASE("a capture is begun once, and ended once") {
  Bench bench;
  sim::Machine& machine = bench.machine();
  const auto refused = [&](const auto& call) { return error_of(ErrorCode::kInvalidArgument, call); };
  CHECK(refused([&] { machine.end_capture(bench.stream(0)); }) == "stream: is not being captured");
  machine.begin_capture(bench.stream(0));
  CHECK(refused([&] { machine.begin_capture(bench.stream(0)); }) == "stream: is being captured already");
  CHECK(machine.end_capture(bench.stream(0)).launches.empty());
}

TEST_CASE("a graph that is launched into a stream under capture becomes a part of it") {
  Bench bench;
  bench.reset({});
  sim::Machine& machine = bench.machine();
  machine.begin_capture(bench.stream(0));
  bench.launch(kernels().get("count"));
  const sim::Graph inner = machine.end_capture(bench.stream(0));
  machine.begin_capture(bench.stream(0));
  machine.launch(bench.stream(0), inner);
  machine.launch(bench.stream(0), inner);
  const sim::Graph outer = machine.end_capture(bench.stream(0));
  machine.synchronize_all();
  CHECK(bench.word(0) == 0);
  machine.launch(bench.stream(0), outer);
  machine.synchronize_all();
  CHECK(bench.word(0) == 2);
}

TEST_CASE("a launch runs as many clusters as it says") {
  Bench bench;
  for (unsigned clusters = 1; clusters <= 20; clusters++) {
    CHECK(bench.run(with_seed(clusters), [&](Bench& b) { b.launch(kernels().get("count", {32, 2}), 0, clusters); }) ==
          "");
    CHECK(bench.word(0) == clusters * 2 * 32);
  }
}

TEST_CASE("a launch of no clusters is refused, as by a driver") {
  Bench bench;
  CHECK(error_of(ErrorCode::kInvalidArgument, [&] { bench.launch(kernels().get("count"), 0, 0); }) ==
        "launch: 0 clusters of count; at least 1 is needed");
  bench.machine().synchronize_all();
}

TEST_CASE("clusters past what fits run when others have ended, in any order") {
  Bench bench(1, 1);  // two CTAs
  const auto found = bench.outcomes(8, [](Bench& b) { b.launch(kernels().get("count_inside"), 0, 8); }, {}, kSeeds);
  std::set<std::uint32_t> most;
  std::set<std::ptrdiff_t> first, last;
  for (const Outcome& each : found) {
    Outcome order, inside;
    for (const std::uint32_t value : each) {
      order.push_back(value / 100);
      inside.push_back(value % 100);
    }
    first.insert(std::find(order.begin(), order.end(), 0U) - order.begin());
    last.insert(std::find(order.begin(), order.end(), 7U) - order.begin());
    most.insert(*std::max_element(inside.begin(), inside.end()));
    std::sort(order.begin(), order.end());
    CHECK(order == Outcome{0, 1, 2, 3, 4, 5, 6, 7});
  }
  CHECK(*most.rbegin() == 2);
  CHECK(first.size() == 8);
  CHECK(last.size() == 8);
}

TEST_CASE("a cluster that waits for one that is not resident is a deadlock, and the report says so") {
  Bench bench(1, 1);
  const auto launches = [](unsigned clusters) {
    return [clusters](Bench& b) { b.launch(kernels().get("wait_for_all_ctas"), 0, clusters); };
  };
  for (std::uint64_t seed = 1; seed <= 20; seed++) {
    CHECK(bench.run(with_seed(seed), launches(2)) == "");
    CHECK_THAT(
        bench.run(with_seed(seed), launches(3)),
        Contains("deadlock") && Contains("rank 0: 1 of 3 clusters of wait_for_all_ctas (launch 0) are not resident"));
  }
}

TEST_CASE("ranks that share a GPU share its residency") {
  Bench bench(1, 1);
  CHECK(bench.run(with_seed(1), [](Bench& b) {
    b.launch(kernels().get("meet"), 0);
    b.launch(kernels().get("meet"), 1);
  }) == "");
  // The two CTAs of rank 0 fill the GPU.
  CHECK_THAT(bench.run(with_seed(1),
                       [](Bench& b) {
                         b.launch(kernels().get("meet", {1, 2}), 0);
                         b.launch(kernels().get("meet", {1, 2}), 1);
                       }),
             Contains("deadlock") && Contains("1 of 1 clusters of meet"));
}

}  // namespace
}  // namespace allnorm::sim_tests
