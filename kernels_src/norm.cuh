// RMSNorm of a row (design, section 3, rules 3 to 5), and the row-wide folds that it needs.
#ifndef ALLNORM_KERNELS_NORM_CUH_
#define ALLNORM_KERNELS_NORM_CUH_

#include "row.cuh"

namespace allnorm_kernel {

/// A value for each chunk of a row, known to all CTAs of the cluster after the row's barrier. Two rows' worth, used in
/// turn: a CTA may write the next row's while another still reads this one's.
struct ChunkValues {
  float values[2][kChunks];
};

ALLNORM_DEVICE void share_chunk_value(ChunkValues& shared, u32 parity, u32 lane, u32 chunk, float value) {
  if constexpr (kCtasPerRow == 1) {
    if (lane == 0) store_shared(&shared.values[parity][chunk], value);
  } else {
    if (lane < kCtasPerRow) store_cluster_shared(&shared.values[parity][chunk], lane, value);
  }
}

/// All threads of the row; what they shared before is visible after.
ALLNORM_DEVICE void barrier_row() {
  if constexpr (kCtasPerRow == 1) {
    barrier_cta();
  } else {
    barrier_cluster_arrive();
    barrier_cluster_wait();
  }
}

ALLNORM_DEVICE float fold_warp_sum(float v) {
#pragma unroll
  for (u32 mask = 16; mask != 0; mask >>= 1) v = add_rn(v, shuffle_xor(v, mask));
  return v;
}

ALLNORM_DEVICE float maximum(float a, float b) { return a > b ? a : b; }

ALLNORM_DEVICE float fold_warp_maximum(float v) {
#pragma unroll
  for (u32 mask = 16; mask != 0; mask >>= 1) v = maximum(v, shuffle_xor(v, mask));
  return v;
}

/// After barrier_row: every lane of a warp gets the fold of all chunks' values, as lane l has it that begins with 0
/// and takes chunks l, l + 32, ... and then the butterfly. Each lane does the steps 16, 8 and 4 of the butterfly for
/// itself.
template <typename Combine>
ALLNORM_DEVICE float fold_row(const ChunkValues& shared, u32 parity, u32 lane, Combine combine) {
  enum : u32 { kLanes = 4, kFolded = 32 / kLanes };
  float values[kFolded];
#pragma unroll
  for (u32 i = 0; i < kFolded; i++) {
    values[i] = 0.0f;
#pragma unroll
    for (u32 first = kLanes * i; first < kChunks; first += 32) {
      const u32 chunk = first + lane % kLanes;
      if (chunk >= kChunks) continue;
      const float value = load_shared(&shared.values[parity][chunk]);
      // No value is -0, so that the first one is what combining it with 0 makes of it.
      values[i] = first < 32 ? value : combine(values[i], value);
    }
  }
#pragma unroll
  for (u32 count = kFolded / 2; count != 0; count /= 2) {
#pragma unroll
    for (u32 i = 0; i < count; i++) values[i] = combine(values[i], values[i + count]);
  }
  float v = values[0];
#pragma unroll
  for (u32 mask = kLanes / 2; mask != 0; mask >>= 1) v = combine(v, shuffle_xor(v, mask));
  return v;
}

ALLNORM_DEVICE float fold_row_sum(const ChunkValues& shared, u32 parity, u32 lane) {
  return fold_row(shared, parity, lane, [](float a, float b) { return add_rn(a, b); });
}

ALLNORM_DEVICE float fold_row_maximum(const ChunkValues& shared, u32 parity, u32 lane) {
  return fold_row(shared, parity, lane, [](float a, float b) { return maximum(a, b); });
}

ALLNORM_DEVICE float sum_of_squares(const float (&h)[kVectorElements]) {
  float v = 0.0f;
#pragma unroll
  for (u32 j = 0; j < kVectorElements; j++) v = fma_rn(h[j], h[j], v);
  return v;
}

ALLNORM_DEVICE float reciprocal_rms(float row_sum, float epsilon) {
  return rsqrt_rn(add_rn(divide_rn(row_sum, static_cast<float>(spec::kHiddenDim)), epsilon));
}

/// A vector's worth of gamma, as it lies in memory.
struct GammaVector {
  enum : u32 { kWords4 = spec::kGammaDtype == spec::kDtype ? 1 : kVectorElements / 4 };
  static_assert(spec::kGammaDtype == spec::kDtype || spec::kGammaDtype == Dtype::kF32);
  Words4 parts[kWords4];
};

ALLNORM_DEVICE GammaVector load_gamma(const Params& params, u32 vector) {
  const Words4* at = static_cast<const Words4*>(params.gamma) + vector * GammaVector::kWords4;
  GammaVector gamma;
#pragma unroll
  for (u32 i = 0; i < GammaVector::kWords4; i++) gamma.parts[i] = load_input(at + i);
  return gamma;
}

ALLNORM_DEVICE void unpack(const GammaVector& gamma, float (&to)[kVectorElements]) {
  if constexpr (spec::kGammaDtype == spec::kDtype) {
    unpack(gamma.parts[0], to);
  } else {
#pragma unroll
    for (u32 i = 0; i < kVectorElements / 4; i++) {
      to[4 * i] = bits_float(gamma.parts[i].x);
      to[4 * i + 1] = bits_float(gamma.parts[i].y);
      to[4 * i + 2] = bits_float(gamma.parts[i].z);
      to[4 * i + 3] = bits_float(gamma.parts[i].w);
    }
  }
}

/// gamma + weight_bias of a lean kernel, a vector a thread. It is prepared before the row is waited for, and costs no
/// register meanwhile.
struct SharedGamma {
  enum : u32 { kThreads = kLean ? kThreadsPerCta : 1 };
  Words4 parts[2][kThreads];
};

ALLNORM_DEVICE void share_gamma(const Params& params, Place place, SharedGamma& shared) {
  if (!place.has(0)) return;
  float gamma[kVectorElements];
  unpack(load_gamma(params, place.vector(0)), gamma);
  u32 words[8];
#pragma unroll
  for (u32 j = 0; j < 8; j++) words[j] = float_bits(add_rn(gamma[j % kVectorElements], params.weight_bias));
  store_shared(&shared.parts[0][place.thread_in_row], {words[0], words[1], words[2], words[3]});
  store_shared(&shared.parts[1][place.thread_in_row], {words[4], words[5], words[6], words[7]});
}

/// What this thread shared.
ALLNORM_DEVICE void load_shared_gamma(const SharedGamma& shared, Place place, float (&to)[kVectorElements]) {
#pragma unroll
  for (u32 i = 0; i < 2; i++) {
    const Words4 v = load_shared(&shared.parts[i][place.thread_in_row]);
    const u32 words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (u32 j = 0; j < 4; j++) to[(4 * i + j) % kVectorElements] = bits_float(words[j]);
  }
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_NORM_CUH_
