// Where threads wait for each other: the lists of those that can run, barriers of CTAs and of clusters.
#include <algorithm>

#include "device/sim/machine.h"
#include "device/sim/report.h"

namespace allnorm::sim {

void Machine::set_ready(Thread& thread) {
  Warp& warp = thread.cta->warps[thread.index / kWarpSize];
  thread.state = ThreadState::kReady;
  if (warp.ready == 0) {
    warp.position = ready_.size();
    ready_.push_back(&warp);
  }
  warp.ready |= 1U << thread.index % kWarpSize;
}

void Machine::set_blocked(Thread& thread, ThreadState state) {
  Warp& warp = thread.cta->warps[thread.index / kWarpSize];
  thread.state = state;
  warp.ready &= ~(1U << thread.index % kWarpSize);
  if (warp.ready != 0) return;
  ready_[warp.position] = ready_.back();
  ready_[warp.position]->position = warp.position;
  ready_.pop_back();
}

/// What each did before is ordered before what any does after.
void Machine::complete_barrier(Barrier& barrier, Thread* last) {
  std::vector<Thread*> met = std::move(barrier.waiting);
  barrier.waiting.clear();
  barrier.expected = 0;
  for (Thread* thread : met) set_ready(*thread);
  if (last != nullptr) met.push_back(last);
  const Time now = issues_++;
  const Cta& cta = *met.front()->cta;
  const bool are_all = met.size() == cta.alive;
  if (are_all) {
    for (Thread* thread : met) thread->released_to_cta = thread->acquired_from_cta = now;
  }
  const auto has_learnt = [](const Thread* thread) { return !thread->acquired_from_thread.empty(); };
  if (!are_all || std::any_of(met.begin(), met.end(), has_learnt)) {
    // They share what each has learnt, of threads that have ended, too.
    std::vector<Time> known(cta.threads.size());
    for (const Thread* thread : met) {
      const std::vector<Time>& own = thread->acquired_from_thread;
      for (std::size_t i = 0; i < own.size(); i++) known[i] = std::max(known[i], own[i]);
    }
    for (const Thread* thread : met) known[thread->index] = now;
    for (Thread* thread : met) thread->acquired_from_thread = known;
  }
  Time seen = 0;
  for (const Thread* thread : met) seen = std::max({seen, thread->view, thread->observed});
  for (Thread* thread : met) thread->view = seen;
  made_progress();
}

void Machine::complete_cluster_barrier(Cluster& cluster) {
  cluster.phase++;
  cluster.arrived = 0;
  cluster.met = issues_++;
  for (const auto& cta : cluster.ctas) {
    for (Thread& thread : cta->threads) {
      if (!thread.arrived_at_cluster) continue;
      thread.released_to_cluster = thread.cluster_arrival;
      cluster.view = std::max({cluster.view, thread.view, thread.observed});
    }
  }
  for (Thread* thread : cluster.waiting) set_ready(*thread);
  cluster.waiting.clear();
  made_progress();
}

/// Barriers wait for those alone that have not ended; a shuffle names all lanes.
void Machine::complete_meetings_without(Thread& ended) {
  Cta& cta = *ended.cta;
  Cluster& cluster = *cta.cluster;
  const Warp& warp = cta.warps[ended.index / kWarpSize];
  if (warp.shuffling != 0) {
    fail(Report::name(ended) + ": ended while lanes of its warp wait for it in a shuffle" + Report::waits(*this));
  }
  for (Barrier& barrier : cta.barriers) {
    if (barrier.expected == 0 && !barrier.waiting.empty() && barrier.waiting.size() == cta.alive) {
      complete_barrier(barrier, nullptr);
    }
  }
  if (ended.arrived_at_cluster && ended.cluster_phase == cluster.phase) cluster.arrived--;
  if (cluster.alive > 0 && cluster.arrived == cluster.alive) complete_cluster_barrier(cluster);
}

}  // namespace allnorm::sim
