// Every rank's outputs equal the CPU reference to the byte, for calls that change shape from one to the next on one
// World.
#include <fmt/format.h>

#include "catch.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

constexpr std::int64_t kMaxRowBytes = std::int64_t{65536} * 4;
constexpr std::int64_t kMaxTokens = 2048;
constexpr std::size_t kMostFailures = 10;
constexpr std::size_t kChunk = 512;  // cases between looks at the clock

struct Result {
  std::vector<Case> ran;
  std::size_t failures = 0;
  std::string stuck;
};

/// Runs cases until all are done, ten have failed, or ALLNORM_TEST_SECONDS (0: no limit) have passed since `start`.
Result run_cases(const WorldOptions& options, std::vector<Case> cases, double start) {
  const auto limit = static_cast<double>(setting("ALLNORM_TEST_SECONDS", 0));
  const auto only = setting("ALLNORM_TEST_ONLY", -1);
  Session session(options);
  Preparer preparer(options);
  Result result;
  std::erase_if(cases, [&](const Case& c) {
    return !session.fits(c) || (only >= 0 && c.index != static_cast<std::uint32_t>(only));
  });
  for (std::size_t first = 0; first < cases.size(); first += kChunk) {
    if (session.anywhere(limit > 0 && seconds_now() - start > limit)) break;
    const auto chunk = std::span(cases).subspan(first, std::min(kChunk, cases.size() - first));
    preparer.prepare(chunk);
    try {
      for (const Failure& failure : session.run(chunk)) {
        fmt::print("FAILED {}\n", describe(failure));
        if (++result.failures >= kMostFailures) break;
      }
    } catch (const Stuck& stuck) {
      result.stuck = stuck.what();
      fmt::print("STUCK among cases {} to {}: {}\n", chunk.front().index, chunk.back().index, stuck.what());
    }
    result.ran.insert(result.ran.end(), chunk.begin(), chunk.end());
    if (session.anywhere(result.failures >= kMostFailures || !result.stuck.empty())) break;
  }
  return result;
}

/// Returns the number of cases that ran.
std::size_t check_equality(const char* test, int world_size, bool virtual_ranks, int case_count, std::uint64_t seed) {
  const double start = seconds_now();
  WorldOptions options;
  options.devices = devices_for(world_size, virtual_ranks);
  options.max_row_bytes = kMaxRowBytes;
  options.timeout_seconds = 20;
  // Room for every case on GPUs of their own; virtual ranks share memory, and larger cases are left out.
  constexpr std::size_t kVirtualBytes = std::size_t{16} << 30;
  options.max_tokens_one_shot = virtual_ranks ? tokens_that_fit(options, kMaxTokens, kVirtualBytes) : kMaxTokens;
  options.max_tokens_two_shot = options.max_tokens_one_shot;

  SampleOptions sample;
  sample.seed = seed;
  sample.cases = case_count;
  sample.world_size = world_size;
  sample.with_pdl = !virtual_ranks;
  if (virtual_ranks) sample.max_elements = std::int64_t{1} << 22;
  sample.cases_per_kernel = static_cast<int>(setting("ALLNORM_TEST_CASES_PER_KERNEL", 4));
  const std::vector<Case> cases = sample_cases(sample);
  fmt::print("{}: world size {}, ALLNORM_TEST_SEED={:#x}, {} of {} cases, {} tokens fit\n", test, world_size, seed,
             cases.size(), full_product(sample.with_pdl), options.max_tokens_one_shot);

  const Result result = run_cases(options, cases, start);
  const ContextStatistics statistics = shared_context().statistics();
  report_json(fmt::format(
      "{{\"test\":\"{}\",\"world_size\":{},\"seed\":{},\"cases_asked\":{},\"cases_run\":{},"
      "\"failures\":{},\"stuck\":{},\"seconds\":{:.1f},\"compiled\":{},\"compile_seconds\":{:.1f},"
      "\"axes\":{}}}",
      test, world_size, seed, case_count, result.ran.size(), result.failures, !result.stuck.empty(),
      seconds_now() - start, statistics.compiled, statistics.compile_seconds, axis_counts_json(result.ran)));
  INFO("world size " << world_size << ", ALLNORM_TEST_SEED=" << seed);
  CHECK(result.stuck == "");
  CHECK(result.failures == 0);
  CHECK(!result.ran.empty());
  return result.ran.size();
}

TEST_CASE("on GPUs of their own every output byte of every rank equals the reference", "[.][two_gpus][equality]") {
  if (!has_gpus(gpus_of_world())) return;
  check_equality("equality-gpus", gpus_of_world(), false, static_cast<int>(setting("ALLNORM_TEST_CASES", 300)),
                 test_seed());
}

TEST_CASE("in worlds of one to eight virtual ranks every output byte equals the reference", "[virtual][equality]") {
  const std::vector<int> worlds = list_setting("ALLNORM_TEST_WORLDS", {1, 2, 3, 4, 5, 6, 7, 8});
  const auto cases = setting("ALLNORM_TEST_CASES", 300);
  const std::uint64_t seed = test_seed();
  const auto each = static_cast<int>(cases / static_cast<std::int64_t>(worlds.size()));
  for (const int world_size : worlds) {
    check_equality("equality-virtual", world_size, true, std::max(1, each),
                   seed + static_cast<std::uint64_t>(world_size));
  }
}

TEST_CASE("whatever output_scale a pointer leads to, every output byte equals the reference", "[virtual][equality]") {
  WorldOptions options;
  options.devices = devices_for(2, true);
  options.max_row_bytes = kMaxRowBytes;
  options.max_tokens_one_shot = options.max_tokens_two_shot = 8;
  options.timeout_seconds = 20;
  const Result result = run_cases(options, calls::extreme_scale_cases(2), seconds_now());
  report_json(fmt::format("{{\"test\":\"extreme-scales\",\"cases_run\":{},\"failures\":{}}}", result.ran.size(),
                          result.failures));
  CHECK(result.stuck == "");
  CHECK(result.failures == 0);
  CHECK(result.ran.size() == calls::extreme_scale_cases(2).size());
}

}  // namespace
}  // namespace allnorm::gpu_tests
