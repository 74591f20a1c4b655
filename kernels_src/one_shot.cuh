// One-shot: every rank stores its row to every rank, and each sums for itself.
#include "row_loop.cuh"

namespace allnorm_kernel {

/// What no row changes is computed before there is anything to wait for.
struct OneShot {
  enum : bool { kOnePeer = kWorldSize == 2 && !spec::kMulticast };

  /// With one peer: a warp of a lone CTA has much to poll, and one lane probes for it. In a cluster, for a few rows,
  /// that only takes longer.
  enum : bool { kProbes = kOnePeer && kCtasPerRow == 1 };

  char* own_memory;  ///< Of one peer: own_slots, from this thread's vector on.
  u64 first;         ///< Otherwise: where this thread's first vector of row 0 in buffer 0 lies, in source 0's slot.

  ALLNORM_DEVICE OneShot(const Params& params, Place place) {
    const u32 in_slot = place.thread_in_row * sizeof(Words4);
    if constexpr (kOnePeer) {
      own_memory = params.own_slots + in_slot;
    } else {
      own_memory = params.symmetric[params.rank];
      first = params.one_shot.offset + in_slot;
    }
  }

  static ALLNORM_DEVICE u64 slot_of(const Params& params, u32 row, u32 buffer) {
    return slot_in_region(params, params.one_shot, kWorldSize, row, buffer);
  }
  /// Of a chunk of this thread's warp.
  static ALLNORM_DEVICE u64 chunk_offset(u32 i) { return i * u64{kThreadsPerRow * sizeof(Words4)}; }

  ALLNORM_DEVICE void send(const Params& params, Place place, u32 row, Rotation rotation,
                           const ChunkVectors& input) const {
    const u64 slot = slot_of(params, row, rotation.buffer);
    const u64 stale = slot_of(params, row, previous_buffer(rotation.buffer));
#pragma unroll 1
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (!place.has(i)) continue;
      if constexpr (kOnePeer) {
        char* to = params.peer_slots + slot + place.vector(i) * sizeof(Words4);
        store_relaxed_system(reinterpret_cast<Words4*>(to), input.at(i));
      } else {
        publish(params, first + slot + params.rank * params.one_shot.source_bytes + chunk_offset(i), input.at(i));
      }
    }
    if constexpr (kOnePeer) {
      clear_slot(place, own_memory + stale, rotation.dirty_vectors);
    } else {
      clear<spec::kMulticast>(params, place, own_memory + first + stale, params.one_shot.source_bytes,
                              rotation.dirty_vectors);
    }
  }

  ALLNORM_DEVICE void sum(const Params& params, Place place, u32 row, u32 buffer, Waiter& waiter,
                          RowValues& mine) const {
    const u64 slot = slot_of(params, row, buffer);
#pragma unroll 1
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if constexpr (kOnePeer) {
        if (!place.has_chunk(i)) continue;
        const Words4* theirs = computed_here(reinterpret_cast<const Words4*>(own_memory + slot + chunk_offset(i)));
        Words4 sum{};
        if (place.has(i)) sum = begin_sum(mine.values.at(i));
        const WaitFor what = {1 - params.rank, Phase::kOneShot, row};
        if constexpr (kProbes) wait_for_chunk(params, waiter, place.is_last_of_chunk(i), theirs, what);
        if (place.has(i)) mine.values.set(i, add_peer(params, waiter, theirs, sum, what));
      } else {
        if (!place.has(i)) continue;
        mine.values.set(i, gather<(spec::kMulticast && kWorldSize > 1)>(
                               params, waiter, own_memory + first + slot + chunk_offset(i),
                               params.one_shot.source_bytes, mine.values.at(i), {0, Phase::kOneShot, row}));
      }
    }
  }
};

ALLNORM_KERNEL(kThreadsPerCta, kCtasPerMultiprocessor)
allnorm_one_shot(ALLNORM_GRID_CONSTANT(Params) params) {
  ALLNORM_SHARED(Shared, shared);
  for_each_row<OneShot>(params, shared);
}

}  // namespace allnorm_kernel
