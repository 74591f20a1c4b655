// Two-shot: a row goes to its owner (row mod world_size), which sums it and sends the sum to all.
#include "row_loop.cuh"

namespace allnorm_kernel {

struct TwoShot {
  char* own_memory;
  u64 thread_offset;  ///< Of this thread's first vector in a slot.

  ALLNORM_DEVICE TwoShot(const Params& params, Place place)
      : own_memory(params.symmetric[params.rank]), thread_offset(place.thread_in_row * sizeof(Words4)) {}

  static ALLNORM_DEVICE u32 owner_of(u32 row) { return row % kWorldSize; }
  /// A slot a rank, at the row's owner alone.
  static ALLNORM_DEVICE u64 first_scatter_slot(const Params& params, u32 row, u32 buffer) {
    return first_slot(params, params.scatter, kWorldSize, row / kWorldSize, buffer);
  }
  /// One slot, at every rank.
  static ALLNORM_DEVICE u64 broadcast_slot(const Params& params, u32 row, u32 buffer) {
    return first_slot(params, params.broadcast, 1, row, buffer);
  }
  /// The owner has its sum; only a multicast stores it into its slot as well.
  static ALLNORM_DEVICE bool has_broadcast(const Params& params, u32 owner) {
    return spec::kMulticast || owner != params.rank;
  }

  ALLNORM_DEVICE void send(const Params& params, Place place, u32 row, Rotation rotation,
                           const ChunkVectors& input) const {
    const u32 owner = owner_of(row), stale = previous_buffer(rotation.buffer);
    if (owner != params.rank) {
      char* slot = params.symmetric[owner] + first_scatter_slot(params, row, rotation.buffer) +
                   params.rank * params.scatter.source_bytes;
#pragma unroll 1
      for (u32 i = 0; i < kChunksPerWarp; i++) {
        if (place.has(i)) store_relaxed_system(reinterpret_cast<Words4*>(slot) + place.vector(i), input.at(i));
      }
    } else {
      clear<false>(params, place, own_memory + first_scatter_slot(params, row, stale) + thread_offset,
                   params.scatter.source_bytes, rotation.dirty_vectors);
    }
    if (has_broadcast(params, owner)) {
      clear_slot(place, own_memory + broadcast_slot(params, row, stale) + thread_offset, rotation.dirty_vectors);
    }
  }

  ALLNORM_DEVICE void sum(const Params& params, Place place, u32 row, u32 buffer, Waiter& waiter,
                          RowValues& mine) const {
    const u32 owner = owner_of(row);
    const u64 broadcast = broadcast_slot(params, row, buffer);
#pragma unroll 1
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (!place.has(i)) continue;
      Words4 sum_vector = mine.values.at(i);
      if (owner == params.rank) {
        const u64 scatter = first_scatter_slot(params, row, buffer) + place.vector(i) * sizeof(Words4);
        sum_vector = gather<false>(params, waiter, own_memory + scatter, params.scatter.source_bytes, sum_vector,
                                   {0, Phase::kScatter, row});
        // A sum that was given up is partial: nobody must see it.
        if (kWorldSize > 1 && waiter.alive()) {
          publish(params, broadcast + place.vector(i) * sizeof(Words4), sum_vector);
        }
      }
      // The owner, too, must see its multicast arrive before the row is finished (rule 5).
      if (kWorldSize > 1 && has_broadcast(params, owner)) {
        const Words4* slot = reinterpret_cast<const Words4*>(own_memory + broadcast) + place.vector(i);
        sum_vector = wait_for_vector(params, waiter, slot, {owner, Phase::kBroadcast, row});
      }
      mine.values.set(i, sum_vector);
    }
  }
};

ALLNORM_KERNEL(kThreadsPerCta, kCtasPerMultiprocessor)
allnorm_two_shot(ALLNORM_GRID_CONSTANT(Params) params) {
  ALLNORM_SHARED(Shared, shared);
  for_each_row<TwoShot>(params, shared);
}

}  // namespace allnorm_kernel
