// Where the scale of an NVFP4 block lies (design, section 3, scale layouts), and the padding of the swizzled layout.
#ifndef ALLNORM_KERNELS_SCALE_LAYOUT_CUH_
#define ALLNORM_KERNELS_SCALE_LAYOUT_CUH_

#include "row.cuh"

namespace allnorm_kernel {

enum : u32 { kBlocks = spec::kHiddenDim / 16, kPaddedBlocks = (kBlocks + 3) / 4 * 4 };

ALLNORM_DEVICE u64 scale_offset(u32 row, u32 block) {
  if constexpr (spec::kScaleLayout == ScaleLayout::kLinear) {
    return u64{row} * kBlocks + block;
  } else {
    const u32 in_tile = row % 128;
    return u64{row / 128} * (kPaddedBlocks / 4 * 512) + block / 4 * 512 + in_tile % 32 * 16 + in_tile / 32 * 4 +
           block % 4;
  }
}

/// Zeroes the scales of the columns past the last block and of the rows past the last token.
ALLNORM_DEVICE void zero_scale_padding(const Params& params) {
  u8* scales = static_cast<u8*>(params.scale_out);
  const u32 padded_rows = (params.tokens + 127) / 128 * 128;
  const u32 threads = ctas_in_grid() * kThreadsPerCta;
  const u32 first = cta_in_grid() * kThreadsPerCta + thread_in_cta();
  for (u32 row = first; row < params.tokens; row += threads) {
    for (u32 block = kBlocks; block < kPaddedBlocks; block++) {
      store_output(scales + scale_offset(row, block), u8{0});
    }
  }
  const u32 in_rows = (padded_rows - params.tokens) * kPaddedBlocks;
  for (u32 i = first; i < in_rows; i += threads) {
    store_output(scales + scale_offset(params.tokens + i / kPaddedBlocks, i % kPaddedBlocks), u8{0});
  }
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_SCALE_LAYOUT_CUH_
