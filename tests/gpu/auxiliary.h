// Kernels of the tests' own: they make inputs, digest outputs, count mismatches, check conversions.
//
// The structures here are in the memory of the GPU; auxiliary_source.cc declares them again for the compiler there.
#ifndef ALLNORM_TESTS_GPU_AUXILIARY_H_
#define ALLNORM_TESTS_GPU_AUXILIARY_H_

#include <cstdint>
#include <span>

#include "calls/fill_job.h"
#include "device/cuda/cuda_device.h"

namespace allnorm::gpu_tests {

using calls::FillJob;
using calls::kConstantWord;
using calls::replay_seed;

/// Bytes to digest.
struct DigestJob {
  const void* data = nullptr;
  std::uint64_t bytes = 0;
};

/// What replays leave behind.
struct Tally {
  std::uint64_t replays = 0;
  std::uint64_t mismatches = 0;
  std::uint64_t first_mismatch = ~std::uint64_t{0};  ///< replay * calls + call
};

/// Where a check found its inputs wrong.
struct Count {
  std::uint64_t mismatches = 0;
  std::uint64_t example = ~std::uint64_t{0};  ///< The smallest input.
};

/// The host's twin of the digest: a sum over little-endian words, so that any order gives it.
std::uint64_t digest_of(std::span<const std::uint8_t> bytes);
constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}
constexpr std::uint64_t digest_term(std::uint64_t index, std::uint64_t word) {
  return mix64(((index + 1) * 0x9E3779B97F4A7C15) ^ word);
}

class AuxiliaryKernels {
 public:
  explicit AuxiliaryKernels(const cuda::CudaDevice& device);
  AuxiliaryKernels(const AuxiliaryKernels&) = delete;
  AuxiliaryKernels& operator=(const AuxiliaryKernels&) = delete;

  // Grid (any, jobs); 256 threads. The replay counter may be null.
  CUfunction fill = nullptr;    ///< (const FillJob*, const Tally*)
  CUfunction digest = nullptr;  ///< (const DigestJob*, u64* digests): adds to digests[job]
  /// One CTA: (u64* digests, const u64* expected, u32 calls, u64 rounds, Tally*). Replay i expects those of round
  /// i mod rounds. Zeroes the digests, counts the replay.
  CUfunction compare = nullptr;
  // Any grid.
  CUfunction check_conversions = nullptr;   ///< (Count*): f16, bf16, e4m3, e2m1, f16 and e4m3 decoded; all 2^32 inputs
  CUfunction check_sums = nullptr;          ///< (Count*): f16, bf16; all pairs of elements
  CUfunction check_rsqrt = nullptr;         ///< (Count*): all 2^32 inputs
  CUfunction digest_conversions = nullptr;  ///< (u64 count, u32 step, u64* digest): inputs i * step
};

}  // namespace allnorm::gpu_tests

#endif  // ALLNORM_TESTS_GPU_AUXILIARY_H_
