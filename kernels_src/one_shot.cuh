// One-shot: every rank stores its row to every rank, and each sums for itself.
#include "row_loop.cuh"

namespace allnorm_kernel {

ALLNORM_DEVICE void sum_row_one_shot(const Params& params, Place place, u64 row, RowState state, Waiter& waiter,
                                     RowValues& mine) {
  const u64 group = params.one_shot_offset + slot_group(params, row, state.buffer, kWorldSize);
  const Words4* input = static_cast<const Words4*>(params.input) + row * kVectors;
#pragma unroll
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (place.has(i) && waiter.alive) mine.values[i] = sanitize(load_input(input + place.vector(i)));
  }
#pragma unroll
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (!place.has(i) || !waiter.alive || kWorldSize == 1) continue;
    publish(params, group + params.rank * params.slot_bytes + place.vector(i) * sizeof(Words4), mine.values[i]);
  }
  if constexpr (spec::kFused && kLoadEarly) {
#pragma unroll
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (place.has(i)) mine.residual[i] = load_residual(params, row, place.vector(i));
    }
  }
  if (waiter.alive && kWorldSize > 1) {
    const u64 stale = params.one_shot_offset + slot_group(params, row, previous_buffer(state.buffer), kWorldSize);
    clear<spec::kMulticast>(params, place, params.symmetric[params.rank] + stale, state.dirty_vectors);
  }
#pragma unroll
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (!place.has(i)) continue;
    float sum[kVectorElements];
    gather<spec::kMulticast>(params, waiter, params.symmetric[params.rank] + group, place.vector(i), mine.values[i],
                             {0, Phase::kOneShot, row, state.epoch}, sum);
    mine.values[i] = pack(sum);
  }
}

ALLNORM_KERNEL(kThreadsPerCta) allnorm_one_shot(const ALLNORM_GRID_CONSTANT Params params) {
  ALLNORM_SHARED Shared shared;
  for_each_row<sum_row_one_shot>(params, shared);
}

}  // namespace allnorm_kernel
