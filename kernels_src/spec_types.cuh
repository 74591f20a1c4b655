// The names in which a generated preamble states what a kernel is specialised for (namespace spec).
//
// The preamble defines, as constexpr: kWorldSize, kHiddenDim, kDtype, kGammaDtype, kQuant, kScaleLayout, kTwoShot,
// kFused, kMulticast, kHasOutput, kHasResidualOut, kZeroScalePadding, kPdl, kCtasPerRow, kWarpsPerCta, kChunksPerWarp.
#ifndef ALLNORM_KERNELS_SPEC_TYPES_CUH_
#define ALLNORM_KERNELS_SPEC_TYPES_CUH_

namespace allnorm_kernel {

enum class Dtype { kF32, kF16, kBF16 };
enum class Quant { kNone, kFp8, kNvfp4, kDynamicFp8 };
enum class ScaleLayout { kSwizzled128x4, kLinear };
enum class Pdl { kOff, kEarlyTrigger, kLateTrigger };

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_SPEC_TYPES_CUH_
