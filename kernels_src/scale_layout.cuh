// Where the scale of an NVFP4 block lies (design, section 3, scale layouts), and the padding of the swizzled layout.
#ifndef ALLNORM_KERNELS_SCALE_LAYOUT_CUH_
#define ALLNORM_KERNELS_SCALE_LAYOUT_CUH_

#include "row.cuh"

namespace allnorm_kernel {

constexpr u32 kBlocks = spec::kHiddenDim / 16;
constexpr u32 kPaddedBlocks = (kBlocks + 3) / 4 * 4;

ALLNORM_DEVICE u64 scale_offset(u64 row, u32 block) {
  if constexpr (spec::kScaleLayout == ScaleLayout::kLinear) {
    return row * kBlocks + block;
  } else {
    const u32 in_tile = static_cast<u32>(row % 128);
    return row / 128 * (kPaddedBlocks / 4) * 512 + block / 4 * 512 + in_tile % 32 * 16 + in_tile / 32 * 4 + block % 4;
  }
}

/// Zeroes the scales of the columns past the last block and of the rows past the last token.
ALLNORM_DEVICE void zero_scale_padding(const Params& params) {
  u8* scales = static_cast<u8*>(params.scale_out);
  const u64 padded_rows = (params.tokens + 127) / 128 * 128;
  constexpr u64 kColumns = kPaddedBlocks - kBlocks;
  const u64 column_bytes = params.tokens * kColumns;
  const u64 all = column_bytes + (padded_rows - params.tokens) * kPaddedBlocks;
  const u64 threads = static_cast<u64>(ctas_in_grid()) * kThreadsPerCta;
  for (u64 i = static_cast<u64>(cta_in_grid()) * kThreadsPerCta + thread_in_cta(); i < all; i += threads) {
    u64 row = params.tokens + (i - column_bytes) / kPaddedBlocks;
    u32 block = static_cast<u32>((i - column_bytes) % kPaddedBlocks);
    if constexpr (kColumns > 0) {
      if (i < column_bytes) {
        row = i / kColumns;
        block = kBlocks + static_cast<u32>(i % kColumns);
      }
    }
    store_output(scales + scale_offset(row, block), u8{0});
  }
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_SCALE_LAYOUT_CUH_
