// The tests' own kernels do what their twins on the host do.
#include <fmt/format.h>

#include "catch.h"
#include "gpu/gpu.h"
#include "reference/patterns.h"

namespace allnorm::gpu_tests {
namespace {

TEST_CASE("inputs made on the GPU have the bytes of those made on the host", "[auxiliary]") {
  Gpu& gpu = Gpu::at(0);
  const GpuStream stream(gpu);
  constexpr std::int64_t kRows = 9;
  constexpr std::int64_t kColumns = 1000;
  constexpr std::uint64_t kSeed = 0xFEDCBA9876543210;
  const GpuBuffer data(gpu, kRows * kColumns * 4);
  const GpuBuffer jobs(gpu, sizeof(FillJob));
  const GpuBuffer tally_buffer(gpu, sizeof(Tally));
  const Tally tally{5, 0, 0};
  tally_buffer.write(&tally, sizeof(tally));
  for (int pattern = 0; pattern < reference::kPatterns; ++pattern) {
    for (const DataType dtype : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
      for (const bool per_replay : {false, true}) {
        INFO(fmt::format("pattern {} dtype {} per replay {}", pattern, to_string(dtype), per_replay));
        constexpr int kRank = 3;
        constexpr std::int64_t kFirstRow = 6;
        const FillJob job = {data.data(),
                             kRows,
                             kColumns,
                             kFirstRow,
                             kSeed,
                             static_cast<std::uint32_t>(pattern),
                             static_cast<std::uint32_t>(dtype),
                             kRank,
                             per_replay ? 1U : 0U};
        jobs.write(&job, sizeof(job));
        stream.launch(gpu.kernels().fill, 4, 1, 256, jobs.as<const FillJob>(), tally_buffer.as<const Tally>());
        REQUIRE(stream.wait(10));
        std::vector<std::uint8_t> got(kRows * kColumns * size_of(dtype));
        data.read(got.data(), got.size());
        std::vector<std::uint8_t> expected(got.size());
        const std::uint64_t seed = per_replay ? replay_seed(kSeed, tally.replays) : kSeed;
        reference::fill(static_cast<reference::Pattern>(pattern), dtype, seed, kRank, expected.data(), kRows, kColumns,
                        kFirstRow);
        CHECK((got == expected));
      }
    }
  }
}

TEST_CASE("a digest made on the GPU is the one made on the host, and one changed byte changes it", "[auxiliary]") {
  Gpu& gpu = Gpu::at(0);
  const GpuStream stream(gpu);
  std::vector<std::uint8_t> bytes(100'003);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(mix64(i));
  const GpuBuffer data(gpu, bytes.size());
  const GpuBuffer jobs(gpu, sizeof(DigestJob));
  const GpuBuffer digest(gpu, sizeof(std::uint64_t));
  const DigestJob job = {data.data(), bytes.size()};
  jobs.write(&job, sizeof(job));
  const auto digest_on_gpu = [&] {
    data.write(bytes.data(), bytes.size());
    digest.fill(0);
    stream.launch(gpu.kernels().digest, 8, 1, 256, jobs.as<const DigestJob>(), digest.as<std::uint64_t>());
    REQUIRE(stream.wait(10));
    std::uint64_t got = 0;
    digest.read(&got, sizeof(got));
    return got;
  };
  const std::uint64_t before = digest_on_gpu();
  CHECK(before == digest_of(bytes));
  bytes.back() ^= 1;
  CHECK(digest_on_gpu() != before);
}

}  // namespace
}  // namespace allnorm::gpu_tests
