// Compares a call between all ranks, before it runs (checked mode; design, section 4, rule 12): what differs on any of
// them is reported on all, and ends their waits.
//
// A CTA with a warp. Each rank sends the words of its call to every rank, each word with the call's number beside it,
// so that a word that has arrived is known by itself. Two places alternate: a rank sends those of call k + 2 only when
// it has seen everyone's of k + 1, which they send after they have read k. The RowState here is that of the
// comparisons.
//
// A rank that has refused its call compares it all the same: what makes it differ may be why. Where nothing differs,
// and some have made the call, they wait until it is made here too, by a later comparison of the same number.
#include "wait.cuh"

namespace allnorm_kernel {

/// The peer's word, or the own one once there is nothing to wait for. With `until_made` a refused call is waited for.
ALLNORM_DEVICE u32 wait_for_word(const Params& params, Waiter& waiter, const u64* from, u32 number, u32 own,
                                 bool until_made, const WaitFor& what) {
  for (u32 polls = 1; waiter.alive(); polls++) {
    const u64 word = load_relaxed_system(from);
    if (static_cast<u32>(word >> 32) == number && !(until_made && static_cast<u32>(word) != kMade)) {
      return static_cast<u32>(word);
    }
    count_failed_poll(params, waiter, polls, what);
  }
  return own;
}

ALLNORM_KERNEL(kThreadsPerCta, kCtasPerMultiprocessor)
allnorm_compare_calls(ALLNORM_GRID_CONSTANT(Params) params) {
  const u64 call = load_relaxed_gpu(&params.states->epoch);
  // What lies there when the ranks are poisoned stays for status(), whatever calls are queued behind.
  if (vote_any(is_poisoned(params))) return;
  const u32 place = static_cast<u32>(call & 1);
  const u32 number = call_number(call);
  const bool refused = params.compared[kOutcomeWord] != kMade;
  Waiter waiter;
  for (u32 rank = thread_in_cta(); rank < kWorldSize; rank += kThreadsPerCta) {
    ComparedCall* to = &control_of(params, rank)->calls[place][params.rank];
    for (u32 i = 0; i < kComparedWords; i++) {
      store_relaxed_system(&to->words[i], u64{number} << 32 | params.compared[i]);
    }
  }
  bool made = false;
  for (u32 rank = thread_in_cta(); rank < kWorldSize; rank += kThreadsPerCta) {
    const ComparedCall* from = &control_of(params, params.rank)->calls[place][rank];
    const WaitFor what = {rank, Phase::kCompare, 0};
    bool differs = false;
    for (u32 i = 0; i < kOutcomeWord; i++) {
      const u32 own = params.compared[i];
      if (wait_for_word(params, waiter, &from->words[i], number, own, false, what) != own) differs = true;
    }
    if (!differs) {
      const u32 own = params.compared[kOutcomeWord];
      if (wait_for_word(params, waiter, &from->words[kOutcomeWord], number, own, !refused, what) == kMade) made = true;
    }
    report_if_timed_out(params, waiter, 0);
    if (differs) report_and_poison(params, {rank, Phase::kDiffers, 0});
  }
  const bool counts = !refused || !vote_any(made);
  barrier_cta();  // all have read the state
  if (counts && thread_in_cta() == 0) add_relaxed_gpu(&params.states->epoch, 1);
}

}  // namespace allnorm_kernel
