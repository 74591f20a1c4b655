#include "bench_kernels_source.h"

namespace allnorm::tools {

const char* const kBenchKernelsSource = R"cuda(
typedef unsigned int u32;
typedef unsigned long long u64;

struct StorePeers { uint4* to[71]; };

extern "C" __global__ void empty() {}

extern "C" __global__ void write(uint4* to, u64 vectors) {
  const u64 step = static_cast<u64>(gridDim.x) * blockDim.x;
  for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < vectors; i += step)
    to[i] = make_uint4(1, 2, 3, 4);
}

extern "C" __global__ void store(StorePeers peers, const uint4* from, u64 vectors) {
  uint4* const to = peers.to[blockIdx.y];
  const u64 step = static_cast<u64>(gridDim.x) * blockDim.x;
  for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < vectors; i += step) to[i] = from[i];
}

__device__ u64 now() {
  u64 time;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  return time;
}

__device__ void tell(u32* flag, u32 value) {
  asm volatile("st.relaxed.sys.global.u32 [%0], %1;" :: "l"(flag), "r"(value) : "memory");
}

// The clock is looked at so rarely that it adds nothing to a wait that ends.
__device__ bool wait_for(const u32* flag, u32 value, u64 deadline) {
  for (u32 polls = 1;; polls++) {
    u32 seen;
    asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(seen) : "l"(flag) : "memory");
    if (seen == value) return true;
    if (polls % 1024 == 0 && now() > deadline) return false;
  }
}

extern "C" __global__ void ping_pong(u32* own, u32* peers, u32 first, u32 rounds, u32 begins, u64* nanoseconds) {
  constexpr u32 kWarmUps = 100;  // kPingPongWarmUps
  const u64 deadline = now() + 2000000000ull;
  u64 begin = 0;
  *nanoseconds = 0;
  for (u32 i = 0; i < kWarmUps + rounds; i++) {
    if (i == kWarmUps) begin = now();
    if (begins != 0) tell(peers, first + i);
    if (!wait_for(own, first + i, deadline)) return;
    if (begins == 0) tell(peers, first + i);
  }
  *nanoseconds = now() - begin;
}
)cuda";

}  // namespace allnorm::tools
