// What both strategies do with a row once its sum is known: residual, norm, quantization, and the row's barrier.
#ifndef ALLNORM_KERNELS_FINISH_ROW_CUH_
#define ALLNORM_KERNELS_FINISH_ROW_CUH_

#include "norm.cuh"
#include "protocol.cuh"
#include "quant.cuh"

namespace allnorm_kernel {

/// What a thread needs for every row.
struct RowConstants {
  GammaVector gamma[kGammaEarly ? kChunksPerWarp : 1];  ///< Where kGammaEarly; a lean kernel loads it for each row.
  float output_scale;                                   ///< The caller's.
  float inverse_scale;                                  ///< RN(1 / output_scale), static FP8 alone.
};

ALLNORM_DEVICE RowConstants load_constants(const Params& params, Place place) {
  RowConstants constants;
  if constexpr (spec::kFused) {
    constants.output_scale = load_output_scale(params);
    if constexpr (kGammaEarly) {
#pragma unroll
      for (u32 i = 0; i < kChunksPerWarp; i++) {
        if (place.has(i)) constants.gamma[i] = load_gamma(params, place.vector(i));
      }
    }
    if constexpr (spec::kQuant == Quant::kFp8) {
      constants.inverse_scale = divide_rn(1.0f, constants.output_scale);
    }
  }
  return constants;
}

ALLNORM_DEVICE Words4 load_residual(const Params& params, u64 row, u32 vector) {
  return load_input_early(static_cast<const Words4*>(params.residual_in) + row * kVectors + vector);
}

/// A thread's share of a row. `values` is the input (sanitised), then the sum, then residual_out, then the normalised
/// row.
struct RowValues {
  ChunkVectors values;
  ChunkVectors residual;  ///< Where kResidualEarly.
};

/// This thread's vectors of a row of residual_in.
ALLNORM_DEVICE ChunkVectors load_residual_row(const Params& params, Place place, u64 row) {
  ChunkVectors residual;
#pragma unroll
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (place.has(i)) residual.vectors[i] = load_residual(params, row, place.vector(i));
  }
  return residual;
}

/// Before the first wait, so that the loads are under way meanwhile. `input` and `residual` are the row's, where those
/// were kept.
ALLNORM_DEVICE void load_row(const Params& params, Place place, u64 row, const ChunkVectors& input,
                             const ChunkVectors& residual, RowValues& mine) {
  mine.values = kInputKept ? input : load_input_row(params, place, row);
  if constexpr (spec::kFused && kResidualEarly) {
    mine.residual = kResidualSent ? residual : load_residual_row(params, place, row);
  }
}

/// h = sum + residual, and its sum of squares, chunk by chunk.
ALLNORM_DEVICE void add_residual(const Params& params, Place place, u64 row, bool alive, u32 parity, RowValues& mine,
                                 ChunkValues& squares) {
#pragma unroll 1
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    float square_sum = 0.0f;
    if (place.has(i) && alive) {
      const Words4 residual = kResidualEarly ? mine.residual.at(i) : load_residual(params, row, place.vector(i));
      const Words4 rounded = add_vectors(mine.values.at(i), residual);
      mine.values.set(i, rounded);
      if constexpr (spec::kHasResidualOut) {
        store_output(static_cast<Words4*>(params.residual_out) + row * kVectors + place.vector(i), rounded);
      }
      float h[kVectorElements];
      unpack(rounded, h);
      square_sum = sum_of_squares(h);
    }
    if (place.chunk(i) < kChunks) {
      share_chunk_value(squares, parity, place.lane(), place.chunk(i), fold_warp_sum(square_sum));
    }
  }
}

/// n = (h * r) * (gamma + weight_bias), rounded to the dtype; stored as `output` where that exists.
ALLNORM_DEVICE void normalize(const Params& params, Place place, u64 row, float r, RowValues& mine,
                              const RowConstants& constants, u32 i, float (&n)[kVectorElements]) {
  float gamma[kVectorElements];
  unpack(mine.values.at(i), n);
  unpack(kGammaEarly || kLean ? of_chunk(constants.gamma, i) : load_gamma(params, place.vector(i)), gamma);
#pragma unroll
  for (u32 j = 0; j < kVectorElements; j++) {
    n[j] = multiply_rn(multiply_rn(n[j], r), add_rn(gamma[j], params.weight_bias));
  }
  const Words4 rounded = pack(n);
  mine.values.set(i, rounded);
  if constexpr (spec::kHasOutput) {
    store_output(static_cast<Words4*>(params.output) + row * kVectors + place.vector(i), rounded);
  }
  unpack(rounded, n);
}

ALLNORM_DEVICE void finish_dynamic_fp8(const Params& params, Place place, u64 row, bool alive, u32 parity,
                                       RowValues& mine, const RowConstants& constants, float r, ChunkValues& maxima) {
#pragma unroll 1
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    float largest = 0.0f;
    if (place.has(i) && alive) {
      float n[kVectorElements];
      normalize(params, place, row, r, mine, constants, i, n);
      largest = magnitude_maximum(n);
    }
    if (place.chunk(i) < kChunks) {
      share_chunk_value(maxima, parity, place.lane(), place.chunk(i), fold_warp_maximum(largest));
    }
  }
  barrier_row();
  const float scale = dynamic_scale(fold_row_maximum(maxima, parity, place.lane()));
  const float inverse_scale = divide_rn(1.0f, scale);
  if (!alive) return;
  if (place.thread_in_row == 0) store_output(static_cast<float*>(params.scale_out) + row, scale);
#pragma unroll 1
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (!place.has(i)) continue;
    float n[kVectorElements];
    unpack(mine.values.at(i), n);
    store_fp8(params, row * kVectors + place.vector(i), n, inverse_scale);
  }
}

/// The shared memory of a CTA.
struct Shared {
  ChunkValues squares;
  ChunkValues maxima;  // dynamic FP8 alone
};

/// A thread that gave up passes the barriers and writes nothing.
ALLNORM_DEVICE void finish_row(const Params& params, Place place, u64 row, bool alive, u32 parity, RowValues& mine,
                               RowConstants& constants, Shared& shared) {
  if constexpr (!spec::kFused) {
    barrier_row();
#pragma unroll 1
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (place.has(i) && alive) {
        store_output(static_cast<Words4*>(params.output) + row * kVectors + place.vector(i), mine.values.at(i));
      }
    }
  } else {
    add_residual(params, place, row, alive, parity, mine, shared.squares);
    if constexpr (kLean) {
      if (place.has(0)) constants.gamma[0] = load_gamma(params, place.vector(0));  // under way during the barrier
    }
    barrier_row();
    const float r = reciprocal_rms(fold_row_sum(shared.squares, parity, place.lane()), params.epsilon);
    if constexpr (spec::kQuant == Quant::kDynamicFp8) {
      finish_dynamic_fp8(params, place, row, alive, parity, mine, constants, r, shared.maxima);
    } else {
#pragma unroll 1
      for (u32 i = 0; i < kChunksPerWarp; i++) {
        const bool has = place.has(i) && alive;
        float n[kVectorElements] = {};
        if (has) normalize(params, place, row, r, mine, constants, i, n);
        if constexpr (spec::kQuant == Quant::kFp8) {
          if (has) store_fp8(params, row * kVectors + place.vector(i), n, constants.inverse_scale);
        } else if constexpr (spec::kQuant == Quant::kNvfp4) {
          store_nvfp4(params, has, row, place.vector(i), n, constants.output_scale);
        }
      }
    }
  }
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_FINISH_ROW_CUH_
