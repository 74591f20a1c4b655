// Bounded waits (design, section 4, rule 11): a deadline, a poison that ends every wait, a report of who waited for
// whom.
#ifndef ALLNORM_KERNELS_WAIT_CUH_
#define ALLNORM_KERNELS_WAIT_CUH_

#include "row.cuh"

namespace allnorm_kernel {

/// What a report says of a wait, but for the epoch, which the row's state still holds.
struct WaitFor {
  u32 rank;
  Phase phase;
  u32 row;
};

/// Time in steps of 2^20 ns, about a millisecond: enough for a deadline, and one register.
ALLNORM_DEVICE u32 clock_steps() { return static_cast<u32>(clock_nanoseconds() >> 20); }

/// A thread's willingness to wait, in one register: its deadline, or why it has none. Once it gave up it publishes
/// nothing and polls nothing, but passes every barrier.
struct Waiter {
  enum : u32 {
    kNotStarted = 0,
    kGaveUp = ~0u,
    kTimedOut = kGaveUp - 4 * kMaxRanks,  // and the next ones: for whom, and in which of up to four phases
    kLastDeadline = kTimedOut - 1,
  };
  u32 deadline = kNotStarted;

  ALLNORM_DEVICE bool alive() const { return deadline <= kLastDeadline; }
  ALLNORM_DEVICE void give_up() { deadline = kGaveUp; }

  /// Gave up by itself, and has not said so yet.
  ALLNORM_DEVICE bool has_report() const { return !alive() && deadline != kGaveUp; }
  static ALLNORM_DEVICE u32 timed_out(const WaitFor& what) {
    return kTimedOut + what.rank * 4 + static_cast<u32>(what.phase);
  }
  ALLNORM_DEVICE WaitFor report(u32 row) const {
    const u32 what = deadline - kTimedOut;
    return {what / 4, static_cast<Phase>(what % 4), row};
  }
};

ALLNORM_DEVICE Control* control_of(const Params& params, u32 rank) {
  return reinterpret_cast<Control*>(params.symmetric[rank]);
}

ALLNORM_DEVICE bool is_poisoned(const Params& params) {
  return load_relaxed_system(&control_of(params, params.rank)->poison) != 0;
}

/// The first thread of a rank that gives up tells every rank who waited for whom, then poisons it.
ALLNORM_DEVICE void report_and_poison(const Params& params, WaitFor what) {
  Control* own = control_of(params, params.rank);
  if (compare_and_swap_system(&own->claim, 0, 1) != 0) return;
  const u64 epoch = load_relaxed_gpu(&params.states[what.row].epoch);
  const u32 phase = static_cast<u32>(what.phase);
  const Words4 who = {check_of(params.rank, what.rank, phase, what.row, epoch), params.rank, what.rank, phase};
  const Words4 where = {what.row, 0, static_cast<u32>(epoch), static_cast<u32>(epoch >> 32)};
#pragma unroll 1
  for (u32 rank = 0; rank < kWorldSize; rank++) {
    Control* control = control_of(params, rank);
    Words4* report = reinterpret_cast<Words4*>(&control->reports[params.rank]);
    store_relaxed_system(report, who);
    store_relaxed_system(report + 1, where);
    store_release_system(&control->poison, params.rank + 1);
  }
}

/// After the waits for a chunk.
ALLNORM_DEVICE void report_if_timed_out(const Params& params, Waiter& waiter, u32 row) {
  if (!waiter.has_report()) return;
  report_and_poison(params, waiter.report(row));
  waiter.give_up();
}

/// Every kPollsPerCheck failed polls: returns the Waiter's deadline to go on with, or why it gave up.
ALLNORM_DEVICE u32 check_wait(const Params& params, u32 deadline, WaitFor what) {
  if (is_poisoned(params)) return Waiter::kGaveUp;
  const u64 timeout = load_relaxed_system(&control_of(params, params.rank)->timeout_nanoseconds);
  if (timeout == 0) return deadline;
  const u32 now = clock_steps();
  if (deadline == Waiter::kNotStarted) {
    const u32 started = now + static_cast<u32>(timeout >> 20) + 1;
    return started - 1 < Waiter::kLastDeadline ? started : 1;
  }
  // The clock wraps: a difference says what is later.
  if (static_cast<int>(now - deadline) < 0) return deadline;
  if constexpr (!kRepeatsCode) return Waiter::timed_out(what);
  report_and_poison(params, what);
  return Waiter::kGaveUp;
}

/// Compared as bits: as floats a flush to zero would make the sentinel equal to +0.
ALLNORM_DEVICE bool has_sentinel(Words4 v) {
  return v.x == kSentinel || v.y == kSentinel || v.z == kSentinel || v.w == kSentinel;
}

/// After a failed poll, the `polls`-th of this wait: now and then, decides whether to go on.
ALLNORM_DEVICE void count_failed_poll(const Params& params, Waiter& waiter, u32 polls, const WaitFor& what) {
  pause_after_failed_poll();
  if (polls % kPollsPerCheck != 0) return;
  waiter.deadline = check_wait(params, waiter.deadline, what);
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_WAIT_CUH_
