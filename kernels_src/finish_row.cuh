// What both strategies do with a row once its sum is known: residual, norm, quantization, and the row's barrier.
#ifndef ALLNORM_KERNELS_FINISH_ROW_CUH_
#define ALLNORM_KERNELS_FINISH_ROW_CUH_

#include "norm.cuh"
#include "protocol.cuh"
#include "quant.cuh"

namespace allnorm_kernel {

/// What a thread needs for every row. A lean kernel has it in Shared.
struct RowConstants {
  GammaVector gamma[kGammaEarly ? kChunksPerWarp : 1];  ///< Where kGammaEarly.
  float scale;                                          ///< See load_scale.
};

/// The shared memory of a CTA.
struct Shared {
  ChunkValues squares;
  ChunkValues maxima;  // dynamic FP8 alone
  SharedGamma gamma;   // lean kernels alone, as the next ones
  float scale;
  float row_scale;
};

/// NVFP4: output_scale; static FP8: RN(1 / output_scale).
ALLNORM_DEVICE float load_scale(const Params& params) {
  if constexpr (spec::kQuant == Quant::kNvfp4) return load_output_scale(params);
  return params.output_scale_pointer == nullptr ? params.inverse_scale : divide_rn(1.0f, load_output_scale(params));
}
enum : bool { kHasScale = spec::kQuant == Quant::kFp8 || spec::kQuant == Quant::kNvfp4 };

ALLNORM_DEVICE RowConstants load_constants(const Params& params, Place place) {
  RowConstants constants;
  if constexpr (spec::kFused) {
    if constexpr (kHasScale) constants.scale = load_scale(params);
    if constexpr (kGammaEarly) {
#pragma unroll
      for (u32 i = 0; i < kChunksPerWarp; i++) {
        if (place.has(i)) constants.gamma[i] = load_gamma(params, place.vector(i));
      }
    }
  }
  return constants;
}

/// Before a CTA's first barrier.
ALLNORM_DEVICE void share_constants(const Params& params, Place place, Shared& shared) {
  share_gamma(params, place, shared.gamma);
  if (kHasScale && place.thread_in_row == 0) store_shared(&shared.scale, load_scale(params));
}

ALLNORM_DEVICE Words4 load_residual(const Params& params, u32 row, u32 vector) {
  return load_input_early(row_of(params.residual_in, row) + vector);
}

/// A thread's share of a row. `values` is the input (sanitised), then the sum, then residual_out, then the normalised
/// row.
struct RowValues {
  ChunkVectors values;
  ChunkVectors residual;  ///< Where kResidualEarly.
};

/// This thread's vectors of a row of residual_in.
ALLNORM_DEVICE ChunkVectors load_residual_row(const Params& params, Place place, u32 row) {
  ChunkVectors residual;
#pragma unroll
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (place.has(i)) residual.vectors[i] = load_residual(params, row, place.vector(i));
  }
  return residual;
}

/// Before the first wait, so that the loads are under way meanwhile. `input` and `residual` are the row's, where those
/// were kept.
ALLNORM_DEVICE void load_row(const Params& params, Place place, u32 row, const ChunkVectors& input,
                             const ChunkVectors& residual, RowValues& mine) {
  mine.values = kInputKept ? input : load_input_row(params, place, row);
  if constexpr (spec::kFused && kResidualEarly) {
    mine.residual = kResidualSent ? residual : load_residual_row(params, place, row);
  }
}

/// h = sum + residual, and its sum of squares, chunk by chunk.
ALLNORM_DEVICE void add_residual(const Params& params, Place place, u32 row, bool alive, u32 parity, RowValues& mine,
                                 ChunkValues& squares) {
#pragma unroll 1
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    float square_sum = 0.0f;
    if (place.has(i) && alive) {
      const Words4 residual = kResidualEarly ? mine.residual.at(i) : load_residual(params, row, place.vector(i));
      const Words4 rounded = add_vectors(mine.values.at(i), residual);
      mine.values.set(i, rounded);
      if constexpr (spec::kHasResidualOut) {
        store_output(row_of(params.residual_out, row) + place.vector(i), rounded);
      }
      float h[kVectorElements];
      unpack(rounded, h);
      square_sum = sum_of_squares(h);
    }
    if (place.has_chunk(i)) {
      share_chunk_value(squares, parity, place.lane(), place.chunk(i), fold_warp_sum(square_sum));
    }
  }
}

/// gamma + weight_bias of a chunk.
ALLNORM_DEVICE void load_weights(const Params& params, Place place, const RowConstants& constants, const Shared& shared,
                                 u32 i, float (&to)[kVectorElements]) {
  if constexpr (kLean) {
    load_shared_gamma(shared.gamma, place, to);
  } else {
    unpack(kGammaEarly ? of_chunk(constants.gamma, i) : load_gamma(params, place.vector(i)), to);
#pragma unroll
    for (u32 j = 0; j < kVectorElements; j++) to[j] = add_rn(to[j], params.weight_bias);
  }
}

/// n = (h * r) * (gamma + weight_bias), rounded to the dtype; stored as `output` where that exists.
ALLNORM_DEVICE void normalize(const Params& params, Place place, u32 row, float r, RowValues& mine,
                              const RowConstants& constants, const Shared& shared, u32 i, float (&n)[kVectorElements]) {
  float weights[kVectorElements];
  unpack(mine.values.at(i), n);
  load_weights(params, place, constants, shared, i, weights);
#pragma unroll
  for (u32 j = 0; j < kVectorElements; j++) n[j] = multiply_rn(multiply_rn(n[j], r), weights[j]);
  const Words4 rounded = pack(n);
  mine.values.set(i, rounded);
  if constexpr (spec::kHasOutput) {
    store_output(row_of(params.output, row) + place.vector(i), rounded);
  }
  unpack(rounded, n);
}

/// A value that is computed from what a row's threads have shared. In a lean kernel by one warp: what all of them would
/// execute is what a row takes longest for. The next barrier is behind everybody's look at it.
template <typename Compute>
ALLNORM_DEVICE float once_a_row(Place place, Shared& shared, Compute compute) {
  barrier_row();
  if constexpr (!kLean) return compute();
  if (place.thread_in_row < 32) {
    const float value = compute();
    if (place.thread_in_row == 0) store_shared(&shared.row_scale, value);
  }
  barrier_row();
  return load_shared(&shared.row_scale);
}

ALLNORM_DEVICE void finish_dynamic_fp8(const Params& params, Place place, u32 row, bool alive, u32 parity,
                                       RowValues& mine, const RowConstants& constants, float r, Shared& shared) {
#pragma unroll 1
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    float largest = 0.0f;
    if (place.has(i) && alive) {
      float n[kVectorElements];
      normalize(params, place, row, r, mine, constants, shared, i, n);
      largest = magnitude_maximum(n);
    }
    if (place.has_chunk(i)) {
      share_chunk_value(shared.maxima, parity, place.lane(), place.chunk(i), fold_warp_maximum(largest));
    }
  }
  const float inverse_scale = once_a_row(place, shared, [&] {
    const float scale = dynamic_scale(fold_row_maximum(shared.maxima, parity, place.lane()));
    if (place.thread_in_row == 0 && alive) store_output(static_cast<float*>(params.scale_out) + row, scale);
    return divide_rn(1.0f, scale);
  });
  if (!alive) return;
#pragma unroll 1
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (!place.has(i)) continue;
    float n[kVectorElements];
    unpack(mine.values.at(i), n);
    store_fp8(params, vector_in_tensor(row, place.vector(i)), n, inverse_scale);
  }
}

/// A thread that gave up passes the barriers and writes nothing.
ALLNORM_DEVICE void finish_row(const Params& params, Place place, u32 row, Waiter& waiter, u32 parity, RowValues& mine,
                               const RowConstants& constants, Shared& shared) {
  const bool alive = waiter.alive();
  if constexpr (!spec::kFused) {
    if constexpr (!kRepeatsCode) report_if_timed_out(params, waiter, row);
    barrier_row();
#pragma unroll 1
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (place.has(i) && alive) {
        store_output(row_of(params.output, row) + place.vector(i), mine.values.at(i));
      }
    }
  } else {
    add_residual(params, place, row, alive, parity, mine, shared.squares);
    if constexpr (!kRepeatsCode) report_if_timed_out(params, waiter, row);  // here, few registers are in use
    const float r = once_a_row(place, shared, [&] {
      return reciprocal_rms(fold_row_sum(shared.squares, parity, place.lane()), params.epsilon);
    });
    if constexpr (spec::kQuant == Quant::kDynamicFp8) {
      finish_dynamic_fp8(params, place, row, alive, parity, mine, constants, r, shared);
    } else {
#pragma unroll 1
      for (u32 i = 0; i < kChunksPerWarp; i++) {
        const bool has = place.has(i) && alive;
        float n[kVectorElements] = {};
        if (has) normalize(params, place, row, r, mine, constants, shared, i, n);
        if constexpr (kHasScale) {
          const float scale = kLean ? load_shared(&shared.scale) : constants.scale;
          if constexpr (spec::kQuant == Quant::kNvfp4) {
            store_nvfp4(params, has, row, place.vector(i), n, scale);
          } else if (has) {
            store_fp8(params, vector_in_tensor(row, place.vector(i)), n, scale);
          }
        }
      }
    }
  }
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_FINISH_ROW_CUH_
