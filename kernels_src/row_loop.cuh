// The frame of every kernel: PDL, the cluster's start, rows in ascending order, the padding.
//
// The whole grid is resident (the launcher sizes it so); a cluster takes rows c, c + clusters, ...
// The next row is published before this one is polled, so that its payload is under way meanwhile
// (a lean kernel leaves that to the CTAs beside it); and since a row is published before it is
// polled, the smallest unfinished row can always finish (design, section 4, rule 7).
#ifndef ALLNORM_KERNELS_ROW_LOOP_CUH_
#define ALLNORM_KERNELS_ROW_LOOP_CUH_

#include "finish_row.cuh"
#include "protocol.cuh"

namespace allnorm_kernel {

/// What is kept of a row that was sent until its turn to be summed comes.
struct SentRow {
  u32 buffer = 0;
  ChunkVectors input;
  ChunkVectors residual;  ///< Where kResidualSent.
};

/// A strategy is made of (params, place), and has two functions:
///   send(params, place, row, rotation, input)      stores this rank's row, and clears
///   sum(params, place, row, buffer, waiter, mine)  leaves the row's sum in mine.values
template <typename Strategy>
ALLNORM_DEVICE SentRow begin_row(const Params& params, Place place, const Strategy& strategy, u32 row, Waiter& waiter) {
  SentRow sent;
  if constexpr (kWorldSize == 1) {
    if constexpr (kInputKept) sent.input = load_input_row(params, place, row);
    if constexpr (spec::kFused && kResidualSent) sent.residual = load_residual_row(params, place, row);
    return sent;
  }
  const Rotation rotation = load_rotation(params, row);
  // Under way together with the state, so before the state is looked at.
  sent.input = load_input_row(params, place, row);
  if constexpr (spec::kFused && kResidualSent) sent.residual = load_residual_row(params, place, row);
  if (rotation.buffer == kPoisonedRow) {
    waiter.give_up();
    return sent;  // nothing in buffer 0 will be looked at
  }
  if (waiter.alive()) strategy.send(params, place, row, rotation, sent.input);
  sent.buffer = rotation.buffer;
  return sent;
}

/// What the rows of a CTA share.
struct RowLoop {
  RowConstants constants;
  Waiter waiter;
  u32 parity = 0;
  bool others_started = kCtasPerRow == 1;
};

template <typename Strategy>
ALLNORM_DEVICE void end_row(const Params& params, Place place, const Strategy& strategy, u32 row, const SentRow& sent,
                            RowLoop& loop, Shared& shared) {
  RowValues mine;
  load_row(params, place, row, sent.input, sent.residual, mine);
  strategy.sum(params, place, row, sent.buffer, loop.waiter, mine);
  if (!loop.others_started) barrier_cluster_wait();  // their shared memory exists from here on
  loop.others_started = true;
  finish_row(params, place, row, loop.waiter, loop.parity, mine, loop.constants, shared);
  if (kWorldSize > 1 && place.thread_in_row == 0) {
    advance_state(params, row, sent.buffer, loop.waiter.alive());
  }
  loop.parity ^= 1;
}

template <typename Strategy>
ALLNORM_DEVICE void for_each_row(const Params& params, Shared& shared) {
  const Place place = place_in_row();
  const Strategy strategy(params, place);
  if constexpr (kCtasPerRow > 1) barrier_cluster_arrive();
  // Before the first read of anything shared (rule 8).
  if constexpr (spec::kPdl != Pdl::kOff) grid_dependency_wait();
  if constexpr (spec::kPdl == Pdl::kEarlyTrigger) grid_dependency_launch();
  RowLoop loop;
  const u32 clusters = ctas_in_grid() / kCtasPerRow;
  u32 next_row = cta_in_grid() / kCtasPerRow;
  if constexpr (kLean) {
#pragma unroll 1
    for (; next_row < params.tokens; next_row += clusters) {
      const SentRow sent = begin_row(params, place, strategy, next_row, loop.waiter);
      // Here, it does not hold up what is sent.
      if (spec::kFused && next_row == cta_in_grid()) share_constants(params, place, shared);
      end_row(params, place, strategy, next_row, sent, loop, shared);
    }
  } else {
    // Otherwise the first round of the loop only begins a row.
    constexpr bool kBeginsApart = kRepeatsCode;
    u32 row = params.tokens;  // none yet
    SentRow sent;
    if constexpr (kBeginsApart) {
      row = next_row;
      next_row += clusters;
      if (row < params.tokens) sent = begin_row(params, place, strategy, row, loop.waiter);
    }
    loop.constants = load_constants(params, place);
#pragma unroll 1
    while (kBeginsApart ? row < params.tokens : next_row < params.tokens + clusters) {
      SentRow next_sent;
      if (next_row < params.tokens) next_sent = begin_row(params, place, strategy, next_row, loop.waiter);
      if (kBeginsApart || row < params.tokens) end_row(params, place, strategy, row, sent, loop, shared);
      row = next_row;
      sent = next_sent;
      next_row += clusters;
    }
  }
  if (!loop.others_started) barrier_cluster_wait();
  if constexpr (spec::kZeroScalePadding) zero_scale_padding(params);
  // Before the CTA has ended, which takes until its last stores have. A second time it does nothing.
  if constexpr (spec::kPdl != Pdl::kOff) grid_dependency_launch();
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_ROW_LOOP_CUH_
