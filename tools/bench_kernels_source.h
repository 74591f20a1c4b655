#ifndef ALLNORM_TOOLS_BENCH_KERNELS_SOURCE_H_
#define ALLNORM_TOOLS_BENCH_KERNELS_SOURCE_H_

namespace allnorm::tools {

/// CUDA C++ that includes nothing.
extern const char* const kBenchKernelsSource;

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_BENCH_KERNELS_SOURCE_H_
