// The seam between kernels and machine: everything in a kernel that is not plain C++ goes through these names.
//
// A target gives: thread and block indices; shared memory; Words4; loads and stores by scope; barriers, shuffles,
// cluster shared memory; multicast; programmatic dependent launch; a clock; rounded arithmetic and conversions. On a
// GPU each is an instruction; for the target `host` the simulator (runtime/device/sim) does it.
#ifndef ALLNORM_KERNELS_DEVICE_OPS_CUH_
#define ALLNORM_KERNELS_DEVICE_OPS_CUH_

#if defined(__CUDACC__)
#include "device_ops_cuda.cuh"
#else
#include "device_ops_host.cuh"
#endif

#endif  // ALLNORM_KERNELS_DEVICE_OPS_CUH_
