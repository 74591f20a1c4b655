// Kernels that measure the machine rather than the call: what the floor is made of, and what makes the L2 cold.
#ifndef ALLNORM_TOOLS_BENCH_KERNELS_H_
#define ALLNORM_TOOLS_BENCH_KERNELS_H_

#include <array>
#include <cstdint>

#include "allnorm/types.h"
#include "device/cuda/cuda_device.h"

namespace allnorm::tools {

/// Where `store` writes, of each peer. bench_kernels_source.cc declares it again for the compiler there.
struct StorePeers {
  std::array<void*, kMaxWorldSize - 1> to{};
};

class BenchKernels {
 public:
  explicit BenchKernels(const cuda::CudaDevice& device);

  CUfunction empty = nullptr;  ///< ()
  CUfunction write = nullptr;  ///< (void* to, u64 vectors): any grid
  CUfunction store = nullptr;  ///< (StorePeers, const void* from, u64 vectors of a peer): grid (any, peers)
  /// One thread on each of two GPUs: (u32* own, u32* peers, u32 first, u32 rounds, u32 begins, u64* nanoseconds). A
  /// flag takes `rounds` values from `first` on, which it must not have had yet. Leaves the time of all rounds, or 0 if
  /// a value did not come: it ends by itself after about two seconds.
  CUfunction ping_pong = nullptr;
};

/// Rounds of ping_pong that come before those that are timed: the other kernel may begin later.
inline constexpr unsigned kPingPongWarmUps = 100;

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_BENCH_KERNELS_H_
