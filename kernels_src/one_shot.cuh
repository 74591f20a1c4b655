// One-shot: every rank stores its row to every rank, and each sums for itself.
#include "row_loop.cuh"

namespace allnorm_kernel {

struct OneShot {
  static ALLNORM_DEVICE u64 first_slot_of(const Params& params, u64 row, u32 buffer) {
    return first_slot(params, params.one_shot, kWorldSize, row, buffer);
  }

  static ALLNORM_DEVICE void send(const Params& params, Place place, u64 row, Rotation rotation,
                                  const ChunkVectors& input) {
    const u64 slot = first_slot_of(params, row, rotation.buffer) + params.rank * params.one_shot.source_bytes;
#pragma unroll 1
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (place.has(i)) publish(params, slot + place.vector(i) * sizeof(Words4), input.at(i));
    }
    const u64 stale = first_slot_of(params, row, previous_buffer(rotation.buffer));
    clear<spec::kMulticast>(params, place, params.symmetric[params.rank] + stale, params.one_shot.source_bytes,
                            rotation.dirty_vectors);
  }

  static ALLNORM_DEVICE void sum(const Params& params, Place place, u64 row, u32 buffer, Waiter& waiter,
                                 RowValues& mine) {
    const char* slots = params.symmetric[params.rank] + first_slot_of(params, row, buffer);
#pragma unroll 1
    for (u32 i = 0; i < kChunksPerWarp; i++) {
      if (!place.has(i)) continue;
      float sum[kVectorElements];
      gather<(spec::kMulticast && kWorldSize > 1)>(params, waiter, slots, params.one_shot.source_bytes, place.vector(i),
                                                   mine.values.at(i), {0, Phase::kOneShot, row}, sum);
      mine.values.set(i, pack(sum));
      if constexpr (!kRepeatsCode) report_if_timed_out(params, waiter, row);
    }
  }
};

ALLNORM_KERNEL(kThreadsPerCta, kCtasPerMultiprocessor)
allnorm_one_shot(ALLNORM_GRID_CONSTANT(Params) params) {
  ALLNORM_SHARED(Shared, shared);
  for_each_row<OneShot>(params, shared);
}

}  // namespace allnorm_kernel
