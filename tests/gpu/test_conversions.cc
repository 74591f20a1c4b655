// The conversion instructions of the GPU equal the conversions in software, on all inputs.
#include <fmt/format.h>

#include <array>

#include "catch.h"
#include "gpu/gpu.h"
#include "gpu/report.h"
#include "reference/numbers.h"

namespace allnorm::gpu_tests {
namespace {

constexpr unsigned kCtas = 2048;
constexpr unsigned kThreads = 256;
constexpr double kWaitSeconds = 60;

template <std::size_t kCounts>
std::array<Count, kCounts> run_counts(CUfunction kernel) {
  Gpu& gpu = Gpu::at(0);
  const GpuStream stream(gpu);
  const GpuBuffer buffer(gpu, kCounts * sizeof(Count));
  std::array<Count, kCounts> counts;
  buffer.write(counts.data(), sizeof(counts));
  stream.launch(kernel, kCtas, 1, kThreads, buffer.as<Count>());
  REQUIRE(stream.wait(kWaitSeconds));
  buffer.read(counts.data(), sizeof(counts));
  return counts;
}

TEST_CASE("the conversion instructions equal the software conversions for all 2^32 inputs", "[conversions]") {
  const auto counts = run_counts<6>(Gpu::at(0).kernels().check_conversions);
  constexpr std::array kNames = {"f32 to f16",  "f32 to bf16", "f32 to e4m3",
                                 "f32 to e2m1", "f16 to f32",  "e4m3 to f32"};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    INFO(fmt::format("{}: {} mismatches, the first at {:#x}", kNames[i], counts[i].mismatches, counts[i].example));
    CHECK(counts[i].mismatches == 0);
  }
  report_json("{\"test\":\"conversions\",\"inputs\":4294967296,\"directions\":6}");
}

TEST_CASE("a sum of two 16-bit elements in one step has the bits of one in f32 that is rounded, for all pairs",
          "[conversions]") {
  const auto counts = run_counts<2>(Gpu::at(0).kernels().check_sums);
  constexpr std::array kNames = {"f16", "bf16"};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    INFO(fmt::format("{}: {} mismatches, the first at {:#x}", kNames[i], counts[i].mismatches, counts[i].example));
    CHECK(counts[i].mismatches == 0);
  }
  report_json("{\"test\":\"sums\",\"inputs\":4294967296,\"formats\":2}");
}

TEST_CASE("the reciprocal square root is correctly rounded for all 2^32 inputs", "[conversions]") {
  const auto counts = run_counts<1>(Gpu::at(0).kernels().check_rsqrt);
  INFO(fmt::format("{} mismatches, the first at {:#x}", counts[0].mismatches, counts[0].example));
  CHECK(counts[0].mismatches == 0);
  report_json("{\"test\":\"rsqrt\",\"inputs\":4294967296}");
}

TEST_CASE("the GPU's conversions have the digest that the reference's have", "[conversions]") {
  constexpr std::uint64_t kInputs = 1 << 20;
  constexpr std::uint32_t kStep = 4093;  // odd: all different, over all of f32
  std::uint64_t expected = 0;
  for (std::uint64_t i = 0; i < kInputs; ++i) {
    const float x = reference::float_of(static_cast<std::uint32_t>(i) * kStep);
    const std::uint32_t halves = reference::f32_to_f16(x) | std::uint32_t{reference::f32_to_bf16(x)} << 16;
    const std::uint32_t narrow = reference::f32_to_e4m3(x) | std::uint32_t{reference::f32_to_e2m1(x)} << 8;
    expected += digest_term(3 * i, halves) + digest_term(3 * i + 1, narrow) +
                digest_term(3 * i + 2, reference::stored_bits(reference::rsqrt_rn(x)));
  }
  Gpu& gpu = Gpu::at(0);
  const GpuStream stream(gpu);
  const GpuBuffer buffer(gpu, sizeof(std::uint64_t));
  buffer.fill(0);
  stream.launch(gpu.kernels().digest_conversions, kCtas, 1, kThreads, kInputs, kStep, buffer.as<std::uint64_t>());
  REQUIRE(stream.wait(kWaitSeconds));
  std::uint64_t got = 0;
  buffer.read(&got, sizeof(got));
  CHECK(got == expected);
}

}  // namespace
}  // namespace allnorm::gpu_tests
