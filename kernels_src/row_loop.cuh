// The frame of every kernel: PDL, the cluster's start, rows in ascending order, the row state, the padding.
//
// The whole grid is resident (the launcher sizes it so); a cluster takes rows c, c + clusters, ... A row is published
// before it is polled, so the smallest unfinished row can always finish (design, section 4, rule 7).
#ifndef ALLNORM_KERNELS_ROW_LOOP_CUH_
#define ALLNORM_KERNELS_ROW_LOOP_CUH_

#include "finish_row.cuh"
#include "protocol.cuh"

namespace allnorm_kernel {

/// `kSumRow(params, place, row, state, waiter, mine)` leaves this rank's share of the row's sum in mine.values.
template <auto kSumRow>
ALLNORM_DEVICE void for_each_row(const Params& params, Shared& shared) {
  if constexpr (spec::kPdl != Pdl::kOff) grid_dependency_wait();  // before the first read of anything shared (rule 8)
  if constexpr (spec::kPdl == Pdl::kEarlyTrigger) grid_dependency_launch();
  if constexpr (kCtasPerRow > 1) barrier_cluster_arrive();
  const Place place = place_in_row();
  const float output_scale = load_output_scale(params);
  Waiter waiter = {true, 0};
  u32 parity = 0;
  bool others_started = kCtasPerRow == 1;
  const u64 clusters = ctas_in_grid() / kCtasPerRow;
  for (u64 row = cta_in_grid() / kCtasPerRow; row < params.tokens; row += clusters) {
    const RowState state = kWorldSize > 1 ? load_state(params, row) : RowState{};
    if (kWorldSize > 1 && is_poisoned(params)) waiter.alive = false;
    RowValues mine;
    kSumRow(params, place, row, state, waiter, mine);
    if (!others_started) barrier_cluster_wait();  // their shared memory exists from here on
    others_started = true;
    finish_row(params, place, row, waiter.alive, parity, mine, output_scale, shared);
    if (kWorldSize > 1 && place.thread_in_row == 0 && waiter.alive) advance_state(params, row, state);
    parity ^= 1;
  }
  if (!others_started) barrier_cluster_wait();
  if constexpr (spec::kZeroScalePadding) zero_scale_padding(params);
  if constexpr (spec::kPdl == Pdl::kLateTrigger) grid_dependency_launch();
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_ROW_LOOP_CUH_
