// Two-shot: a row goes to its owner (row mod world_size), which sums it and sends the sum to all.
#include "row_loop.cuh"

namespace allnorm_kernel {

ALLNORM_DEVICE void sum_row_two_shot(const Params& params, Place place, u64 row, RowState state, Waiter& waiter,
                                     RowValues& mine) {
  const u32 owner = static_cast<u32>(row % kWorldSize);
  const bool is_owner = owner == params.rank;
  const u32 stale_buffer = previous_buffer(state.buffer);
  const u64 scatter = params.scatter_offset + slot_group(params, row / kWorldSize, state.buffer, kWorldSize);
  const u64 broadcast = params.broadcast_offset + slot_group(params, row, state.buffer, 1);
  char* own_memory = params.symmetric[params.rank];
  const Words4* input = static_cast<const Words4*>(params.input) + row * kVectors;

#pragma unroll
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (place.has(i) && waiter.alive) mine.values[i] = sanitize(load_input(input + place.vector(i)));
  }
  if (!is_owner && waiter.alive) {
    char* slot = params.symmetric[owner] + scatter + params.rank * params.slot_bytes;
#pragma unroll
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (place.has(i)) store_relaxed_system(reinterpret_cast<Words4*>(slot) + place.vector(i), mine.values[i]);
    }
  }
  if constexpr (spec::kFused && kLoadEarly) {
#pragma unroll
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (place.has(i)) mine.residual[i] = load_residual(params, row, place.vector(i));
    }
  }
  if (waiter.alive && kWorldSize > 1) {
    if (is_owner) {
      const u64 stale = params.scatter_offset + slot_group(params, row / kWorldSize, stale_buffer, kWorldSize);
      clear<false>(params, place, own_memory + stale, state.dirty_vectors);
    }
    if (!is_owner || spec::kMulticast) {
      const u64 stale = params.broadcast_offset + slot_group(params, row, stale_buffer, 1);
      clear_slot(place, own_memory + stale, state.dirty_vectors);
    }
  }
#pragma unroll
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (!place.has(i)) continue;
    if (is_owner) {
      float sum[kVectorElements];
      gather<false>(params, waiter, own_memory + scatter, place.vector(i), mine.values[i],
                    {0, Phase::kScatter, row, state.epoch}, sum);
      mine.values[i] = pack(sum);
      // A sum that was given up is partial: nobody must see it.
      if (waiter.alive) publish(params, broadcast + place.vector(i) * sizeof(Words4), mine.values[i]);
    }
    // The owner, too, must see its multicast arrive before it can count the row as finished (rule 5).
    if ((!is_owner || spec::kMulticast) && waiter.alive) {
      const Words4* slot = reinterpret_cast<const Words4*>(own_memory + broadcast) + place.vector(i);
      mine.values[i] = wait_for_vector(params, waiter, slot, {owner, Phase::kBroadcast, row, state.epoch});
    }
  }
}

ALLNORM_KERNEL(kThreadsPerCta) allnorm_two_shot(const ALLNORM_GRID_CONSTANT Params params) {
  ALLNORM_SHARED Shared shared;
  for_each_row<sum_row_two_shot>(params, shared);
}

}  // namespace allnorm_kernel
