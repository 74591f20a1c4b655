// The protocol between ranks: slots, rotation, publishing, gathering, clearing (design, section 4).
//
// A payload is its own flag: a slot holds the sentinel in every word until the payload arrives. Three buffers rotate
// per row and strategy; a call clears what the row's last call dirtied in the buffer before the one that it uses.
#ifndef ALLNORM_KERNELS_PROTOCOL_CUH_
#define ALLNORM_KERNELS_PROTOCOL_CUH_

#include "wait.cuh"

namespace allnorm_kernel {

/// Where source 0's slot of a row lies in its region; the other sources' follow at strides of region.source_bytes.
ALLNORM_DEVICE u64 slot_in_region(const Params& params, const Region& region, u32 sources, u32 row, u32 buffer) {
  return buffer * sources * region.source_bytes + u64{row} * params.slot_bytes;
}
ALLNORM_DEVICE u64 first_slot(const Params& params, const Region& region, u32 sources, u32 row, u32 buffer) {
  return region.offset + slot_in_region(params, region, sources, row, buffer);
}

ALLNORM_DEVICE u32 previous_buffer(u32 buffer) { return buffer == 0 ? kBuffers - 1 : buffer - 1; }
ALLNORM_DEVICE u32 next_buffer(u32 buffer) { return buffer == kBuffers - 1 ? 0 : buffer + 1; }

/// What a call needs to know of the row's state.
struct Rotation {
  u32 buffer;
  u32 dirty_vectors;
};

ALLNORM_DEVICE Rotation load_rotation(const Params& params, u32 row) {
  const Words2 v = load_relaxed_gpu(reinterpret_cast<const Words2*>(&params.states[row]));
  return {v.x, v.y};
}

/// By one thread of the row, after a barrier that all its threads passed with the old state read.
ALLNORM_DEVICE void advance_state(const Params& params, u32 row, u32 buffer, bool alive) {
  RowState* state = &params.states[row];
  store_weak(reinterpret_cast<Words2*>(state), {alive ? next_buffer(buffer) : kPoisonedRow, kVectors});
  add_relaxed_gpu(&state->epoch, 1);
}

ALLNORM_DEVICE u32 sanitize(u32 word) { return word == kSentinel ? 0 : word; }
/// -0 may become +0, which no sum can tell apart, since sums start from +0.
ALLNORM_DEVICE Words4 sanitize(Words4 v) { return {sanitize(v.x), sanitize(v.y), sanitize(v.z), sanitize(v.w)}; }

/// This thread's vectors of an input row, sanitised.
ALLNORM_DEVICE ChunkVectors load_input_row(const Params& params, Place place, u32 row) {
  ChunkVectors input;
#pragma unroll
  for (u32 i = 0; i < kChunksPerWarp; i++) {
    if (place.has(i)) input.vectors[i] = sanitize(load_input_vector(params, row, place.vector(i)));
  }
  return input;
}

/// Stores a vector to the same place of every other rank; through multicast also to this one.
ALLNORM_DEVICE void publish(const Params& params, u64 offset, Words4 v) {
  if constexpr (spec::kMulticast) {
    store_multicast(reinterpret_cast<Words4*>(params.multicast + offset), v);
  } else {
#pragma unroll(kWorldSize <= 4 ? kWorldSize : kWorldSize <= 8 ? 4 : 2)
    for (u32 i = 1; i < kWorldSize; i++) {
      const u32 rank = params.rank + i < kWorldSize ? params.rank + i : params.rank + i - kWorldSize;
      store_relaxed_system(reinterpret_cast<Words4*>(params.symmetric[rank] + offset), v);
    }
  }
}

/// Writes sentinels over the vectors of a slot that the row's last call dirtied. `at` is this thread's first vector.
ALLNORM_DEVICE void clear_slot(Place place, char* at, u32 dirty_vectors) {
  const Words4 sentinels = {kSentinel, kSentinel, kSentinel, kSentinel};
  if (kChunksPerWarp == 1 && dirty_vectors == kVectors) {  // as most often
    if (place.has(0)) store_weak(reinterpret_cast<Words4*>(at), sentinels);
    return;
  }
#pragma unroll 1
  for (u32 vector = place.thread_in_row; vector < dirty_vectors; vector += kThreadsPerRow) {
    store_weak(reinterpret_cast<Words4*>(at), sentinels);
    at += kThreadsPerRow * sizeof(Words4);
  }
}

/// The same for a row's slots of all ranks.
template <bool kOwnHasSlot>
ALLNORM_DEVICE void clear(const Params& params, Place place, char* first, u64 source_bytes, u32 dirty_vectors) {
#pragma unroll(kWorldSize <= 2 ? kWorldSize : 1)
  for (u32 rank = 0; rank < kWorldSize; rank++) {
    if (kOwnHasSlot || rank != params.rank) clear_slot(place, first + rank * source_bytes, dirty_vectors);
  }
}

/// Polls a slot until no word of the vector is the sentinel.
ALLNORM_DEVICE Words4 wait_for_vector(const Params& params, Waiter& waiter, const Words4* slot, const WaitFor& what) {
  if (!waiter.alive()) return {};
  Words4 v = load_relaxed_system(slot);
  for (u32 polls = 1; has_sentinel(v); polls++) {
    count_failed_poll(params, waiter, polls, what);
    if (!waiter.alive()) break;
    v = load_relaxed_system(slot);
  }
  return v;
}

/// By all lanes of a warp, before they wait for their vectors: the one that `probes`, the last that has any, polls the
/// word that comes last, most likely; the others look when it has come. 32 bytes a poll in place of 512: the L2 cache
/// has what arrives to take in (two H200, 128 tokens of 7168: 8.0 us in place of 8.5).
///
/// For one peer alone: who waits for several, or for a sum, loses more by the second look than the L2 cache gains.
ALLNORM_DEVICE void wait_for_chunk(const Params& params, Waiter& waiter, bool probes, const Words4* slot,
                                   const WaitFor& what) {
  const u32* last = reinterpret_cast<const u32*>(slot) + 3;
  for (u32 polls = 1; probes && waiter.alive() && load_relaxed_system(last) == kSentinel; polls++) {
    count_failed_poll(params, waiter, polls, what);
  }
  // Where that was given up, no lane waits on; the one that probed reports.
  if (vote_any(!waiter.alive()) && waiter.alive()) waiter.give_up();
}

/// Of two ranks: addition commutes, so +0 is added to what is here before the other's comes; that is exact.
ALLNORM_DEVICE Words4 begin_sum(Words4 own) { return computed_here(add_vectors(own, {0, 0, 0, 0})); }
ALLNORM_DEVICE Words4 add_peer(const Params& params, Waiter& waiter, const Words4* slot, Words4 sum,
                               const WaitFor& what) {
  return add_vectors(sum, wait_for_vector(params, waiter, slot, what));
}

/// Sums a vector over all ranks, in rank order from +0 (section 3, rule 1), rounded to the dtype. `slots` is where
/// the vector lies in the first of the row's kWorldSize slots here; `own` is this rank's vector, which is in its slot
/// only where it was sent by multicast. The loads of a batch are in flight together, and only what is missing is
/// polled.
template <bool kOwnHasSlot>
ALLNORM_DEVICE Words4 gather(const Params& params, Waiter& waiter, const char* slots, u64 source_bytes, Words4 own,
                             WaitFor what) {
  if constexpr (kWorldSize == 2 && !kOwnHasSlot) {
    what.rank = 1 - params.rank;
    const Words4* slot = reinterpret_cast<const Words4*>(slots + what.rank * source_bytes);
    return add_peer(params, waiter, slot, begin_sum(own), what);
  }
  constexpr u32 kBatch = kGatherBatch;
  float sum[kVectorElements];
#pragma unroll
  for (u32 j = 0; j < kVectorElements; j++) sum[j] = 0.0f;
#pragma unroll 1
  for (u32 base = 0; base < kWorldSize && waiter.alive(); base += kBatch) {
    Words4 values[kBatch];
    bool missing[kBatch];
#pragma unroll
    for (u32 j = 0; j < kBatch; j++) {
      values[j] = own;
      missing[j] = kWorldSize > 1 && base + j < kWorldSize && (kOwnHasSlot || base + j != params.rank);
    }
    bool any_missing = kWorldSize > 1;
    for (u32 polls = 0; any_missing && waiter.alive(); polls++) {
      any_missing = false;
#pragma unroll
      for (u32 j = 0; j < kBatch; j++) {
        if (missing[j]) {
          values[j] = load_relaxed_system(reinterpret_cast<const Words4*>(slots + (base + j) * source_bytes));
        }
      }
#pragma unroll
      for (u32 j = 0; j < kBatch; j++) {
        missing[j] = missing[j] && has_sentinel(values[j]);
        if (!missing[j]) continue;
        what.rank = base + j;
        any_missing = true;
      }
      if (any_missing) count_failed_poll(params, waiter, polls + 1, what);
    }
#pragma unroll
    for (u32 j = 0; j < kBatch; j++) {
      if (base + j >= kWorldSize) break;
      float x[kVectorElements];
      unpack(values[j], x);
#pragma unroll
      for (u32 k = 0; k < kVectorElements; k++) sum[k] = add_rn(sum[k], x[k]);
    }
  }
  return pack(sum);
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_PROTOCOL_CUH_
