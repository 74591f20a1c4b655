#ifndef ALLNORM_TESTS_GPU_AUXILIARY_SOURCE_H_
#define ALLNORM_TESTS_GPU_AUXILIARY_SOURCE_H_

namespace allnorm::gpu_tests {

/// Follows the text of kernels_src/device_ops_cuda.cuh.
extern const char* const kAuxiliarySource;

}  // namespace allnorm::gpu_tests

#endif  // ALLNORM_TESTS_GPU_AUXILIARY_SOURCE_H_
