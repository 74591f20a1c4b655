// What a kernel for the target `host` calls: the simulator's functions, which it hands over when the library is loaded.
//
// Plain C++; the simulator includes this file as it is. The kernel's library exports three names, see
// device_ops_host.cuh.
#ifndef ALLNORM_KERNELS_HOST_OPS_CUH_
#define ALLNORM_KERNELS_HOST_OPS_CUH_

#include "number_formats.cuh"

namespace allnorm_kernel {

/// Goes up with every change of this file.
constexpr u32 kHostOpsVersion = 1;

/// Where in kernels_src an operation stands.
struct SourceLine {
  const char* file;
  u32 line;
};

/// What an access to global memory promises, as in PTX.
enum class Access : u32 { kWeak, kRelaxedGpu, kRelaxedSystem, kReleaseSystem, kMulticast };

struct HostOps {
  u32 (*thread_in_cta)();
  u32 (*cta_in_grid)();
  u32 (*ctas_in_grid)();

  /// `elements` of `element_bytes` each, which may be read, or arrive, one by one and in any order.
  void (*load)(void* to, const void* from, u32 elements, u32 element_bytes, Access access, SourceLine at);
  void (*store)(void* to, const void* from, u32 elements, u32 element_bytes, Access access, SourceLine at);
  void (*add_relaxed_gpu)(u64* to, u64 value, SourceLine at);
  u32 (*compare_and_swap_system)(u32* to, u32 expected, u32 value, SourceLine at);

  /// The shared memory of the thread's CTA.
  void* (*shared_memory)(u32 bytes, SourceLine at);
  void (*load_shared)(void* to, const void* from, u32 bytes, SourceLine at);
  void (*store_shared)(void* to, const void* from, u32 bytes, SourceLine at);
  void (*store_cluster_shared)(void* own, u32 cta_in_cluster, const void* from, u32 bytes, SourceLine at);

  u32 (*shuffle_xor)(u32 value, u32 lane_mask, SourceLine at);
  u32 (*vote_any)(u32 value, SourceLine at);
  /// Barrier 0 is that of the whole CTA, with threads = 0.
  void (*barrier_cta)(u32 barrier, u32 threads, SourceLine at);
  void (*barrier_cluster_arrive)(SourceLine at);
  void (*barrier_cluster_wait)(SourceLine at);
  void (*fence_system)(SourceLine at);

  void (*grid_dependency_wait)(SourceLine at);
  void (*grid_dependency_launch)(SourceLine at);
  u64 (*clock_nanoseconds)(SourceLine at);
  /// What the thread has loaded since the last call was not what it waits for.
  void (*pause_after_failed_poll)(SourceLine at);
};

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_HOST_OPS_CUH_
