// Quantization of a vector of a normalised row (design, section 3, rules 6 to 9).
#ifndef ALLNORM_KERNELS_QUANT_CUH_
#define ALLNORM_KERNELS_QUANT_CUH_

#include "scale_layout.cuh"

namespace allnorm_kernel {

inline constexpr float kE4M3Maximum = 448.0f;
inline constexpr float kSmallestDynamicScale = 1.0f / (512.0f * 448.0f);
inline constexpr float kOneSixth = 1.0f / 6.0f;

ALLNORM_DEVICE float load_output_scale(const Params& params) {
  return params.output_scale_pointer == nullptr ? params.output_scale : load_input(params.output_scale_pointer);
}

/// amax|n|, NaN ignored.
ALLNORM_DEVICE float magnitude_maximum(const float (&n)[kVectorElements]) {
  float maximum_so_far = 0.0f;
#pragma unroll
  for (u32 j = 0; j < kVectorElements; j++) {
    const float a = bits_float(float_bits(n[j]) & kF32Magnitude);
    if (a > maximum_so_far) maximum_so_far = a;  // false for NaN
  }
  return maximum_so_far;
}

ALLNORM_DEVICE float dynamic_scale(float row_maximum) {
  const float scale = divide_rn(row_maximum, kE4M3Maximum);
  return scale > kSmallestDynamicScale ? scale : kSmallestDynamicScale;
}

/// FP8, static or dynamic: `inverse_scale` is RN(1 / scale).
ALLNORM_DEVICE void store_fp8(const Params& params, u64 at, const float (&n)[kVectorElements], float inverse_scale) {
  u32 words[2] = {0, 0};
#pragma unroll
  for (u32 j = 0; j < kVectorElements; j += 2) {
    const u32 pair = f32_to_e4m3x2(multiply_rn(n[j], inverse_scale), multiply_rn(n[j + 1], inverse_scale));
    words[j / 4] |= pair << (j % 4 * 8);
  }
  if constexpr (kVectorElements == 8) {
    store_output(static_cast<Words2*>(params.quant_out) + at, Words2{words[0], words[1]});
  } else {
    store_output(static_cast<u32*>(params.quant_out) + at, words[0]);
  }
}

/// All lanes of a warp call this; `has` says whether this lane has a vector. A block of 16 columns lies in 2 or 4
/// neighbouring lanes, never in two warps.
ALLNORM_DEVICE void store_nvfp4(const Params& params, bool has, u32 row, u32 vector, const float (&n)[kVectorElements],
                                float output_scale) {
  u32 largest = 0;  // as bits: above infinity where the block holds a NaN
#pragma unroll
  for (u32 j = 0; j < kVectorElements; j++) {
    const u32 magnitude = float_bits(n[j]) & kF32Magnitude;
    if (magnitude > largest) largest = magnitude;
  }
#pragma unroll
  for (u32 mask = 1; mask < 16 / kVectorElements; mask <<= 1) {
    const u32 other = shuffle_xor(largest, mask);
    if (other > largest) largest = other;
  }
  if (!has) return;
  // A NaN in the block goes through both products into the scale, and so gives 7F.
  const float exact = multiply_rn(output_scale, multiply_rn(bits_float(largest), kOneSixth));
  const u8 scale = static_cast<u8>(f32_to_e4m3x2(exact, 0.0f));
  const float decoded = e4m3_to_f32(scale);
  const float multiplier = decoded == 0.0f ? 0.0f : divide_rn(output_scale, decoded);
  float scaled[kVectorElements];
#pragma unroll
  for (u32 j = 0; j < kVectorElements; j++) scaled[j] = multiply_rn(n[j], multiplier);
  const u32 codes = f32_to_e2m1(scaled);
  const u64 at = vector_in_tensor(row, vector);
  if constexpr (kVectorElements == 8) {
    store_output(static_cast<u32*>(params.quant_out) + at, codes);
  } else {
    store_output(static_cast<u16*>(params.quant_out) + at, static_cast<u16>(codes));
  }
  constexpr u32 kLanesPerBlock = 16 / kVectorElements;
  if (vector % kLanesPerBlock == 0) {
    store_output(static_cast<u8*>(params.scale_out) + scale_offset(row, vector / kLanesPerBlock), scale);
  }
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_QUANT_CUH_
