// The scheduler: what goes on next, what happens when nothing can, and how a run ends early.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "allnorm/error.h"
#include "device/sim/machine.h"
#include "device/sim/operations.h"
#include "device/sim/report.h"

namespace allnorm::sim {
namespace {

/// Kernels count deadlines in steps of 2^20 ns, and no timeout is longer than 2^50 ns.
constexpr std::uint64_t kFirstIdle = std::uint64_t{1} << 20;
constexpr std::uint64_t kLongestIdle = std::uint64_t{1} << 46;
constexpr std::uint64_t kLongEnough = std::uint64_t{1} << 50;
constexpr std::uint64_t kStepsBetweenHosts = 256;
/// How long one thread of the host waits for the others in real time.
constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds(60);
constexpr Chance kStartCluster = 65536 / 2;
constexpr Chance kUnstarve = 65536 / 512;

}  // namespace

void Machine::made_progress() noexcept {
  clock_of_progress_ = clock_;
  idle_nanoseconds_ = kFirstIdle;
  waited_for_hosts_ = false;
}

void Machine::run_until(Lock& lock, std::uint64_t steps, const std::function<bool()>& done) {
  while (!done()) {
    if (is_running_) {
      changed_.wait(lock);
      continue;
    }
    is_running_ = true;
    struct Guard {
      Machine& machine;
      ~Guard() {
        machine.is_running_ = false;
        machine.changed_.notify_all();
      }
    } const guard{*this};
    for (std::uint64_t taken = 1;; taken++) {
      if (!step(lock)) return;
      if (a_grid_completed_) {
        a_grid_completed_ = false;
        changed_.notify_all();
        if (done()) return;
      }
      if (steps != 0 && taken >= steps) return;
      if (taken % kStepsBetweenHosts == 0 && waiting_hosts_ > 0) {
        lock.unlock();
        std::this_thread::yield();
        lock.lock();
      }
    }
  }
}

bool Machine::is_starved(const Grid& grid) const noexcept {
  return schedule_.policy == Policy::kStarve && grid.rank() == schedule_.starved_rank;
}

/// One thing happens: a cluster starts, a store arrives, or a warp runs until its threads stop. False: nothing is left.
bool Machine::step(Lock& lock) {
  statistics_.steps++;
  clock_++;
  if (schedule_.step_budget != 0 && statistics_.steps > schedule_.step_budget) {
    fail(fmt::format("the run took more than {} steps; a livelock?", schedule_.step_budget));
  }
  if (!stalled_.empty()) release_stalled();
  if (look_for_startable_) find_startable();

  const bool in_turn = choices_.policy() == Policy::kReplay || choices_.policy() == Policy::kRoundRobin;
  const bool others = !ready_.empty() || stores_.size() > 0;
  if (!startable_.empty() && (!others || in_turn || choices_.happens(kStartCluster)) && start_some_cluster())
    return true;
  if (!others) return idle(lock);

  if (choices_.policy() == Policy::kReplay) {
    replay_step();
  } else if (ready_.empty() || (stores_.size() > 0 && arrives_now())) {
    commit_some_store();
  } else {
    Warp* warp = ready_[choices_.choose(static_cast<std::uint32_t>(ready_.size()))];
    if (is_starved(*warp->cta->grid) && !choices_.happens(kUnstarve)) {
      const auto other =
          std::find_if(ready_.begin(), ready_.end(), [&](const Warp* each) { return !is_starved(*each->cta->grid); });
      if (other != ready_.end()) warp = *other;
    }
    run_warp(*warp);
  }
  return true;
}

/// One of all that can happen next: each warp that can run, each store (or vector, where they arrive whole).
void Machine::replay_step() {
  std::vector<std::uint32_t> arrivals;
  for (std::size_t i = 0; i < stores_.size(); i++) {
    if (stores_.is_first_of_vector(stores_.at(i))) arrivals.push_back(stores_.at(i));
  }
  const auto which = choices_.choose(static_cast<std::uint32_t>(ready_.size() + arrivals.size()));
  if (which >= ready_.size()) return commit(arrivals[which - ready_.size()]);
  // It runs until all its lanes wait: what arrives between could as well have arrived before or after. A grid that
  // completed may have been the warp's own.
  Warp& warp = *ready_[which];
  do run_warp(warp);
  while (!schedule_.split_vectors && !a_grid_completed_ && warp.ready != 0);
}

/// Rather than that a warp runs.
bool Machine::arrives_now() {
  if (choices_.policy() == Policy::kRoundRobin) return statistics_.steps % 2 == 0;
  return choices_.happens(choices_.commit());
}

void Machine::commit_some_store() {
  if (choices_.policy() == Policy::kRoundRobin) {
    commit(stores_.oldest());
    return;
  }
  std::uint32_t store = stores_.at(choices_.choose(static_cast<std::uint32_t>(stores_.size())));
  if (is_starved(*stores_.get(store).thread->cta->grid) && !ready_.empty() && !choices_.happens(kUnstarve)) {
    run_warp(*ready_[choices_.choose(static_cast<std::uint32_t>(ready_.size()))]);
    return;
  }
  commit(store);
}

void Machine::run_warp(Warp& warp) {
  std::uint32_t lanes = warp.ready;
  if (choices_.happens(choices_.single_lane())) {
    // The choice is one of those that are ready.
    auto skip = choices_.choose(static_cast<std::uint32_t>(__builtin_popcount(lanes)));
    for (; skip > 0; skip--) lanes &= lanes - 1;
    lanes &= ~lanes + 1;
  }
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctz(lanes));
    run_lane(warp.cta->threads[warp.first + lane]);
  }
}

void Machine::run_lane(Thread& thread) {
  operations_at_a_stretch_ = 0;
  accesses_at_a_stretch_ = 0;
  const CurrentThread current(*this, thread);
  host_.resume(thread.fiber);
  if (fault_) fail(*fault_);
  if (thread.fiber.overflowed()) fail(Report::name(thread) + ": its stack in the simulator overflowed");
  if (thread.state == ThreadState::kEnded) thread_ended(thread);
}

void Machine::release_stalled() {
  for (std::size_t i = stalled_.size(); i-- > 0;) {
    Thread& thread = *stalled_[i];
    const bool by_step = thread.stalled_until_step != 0 && thread.stalled_until_step <= statistics_.steps;
    const bool by_clock = thread.stalled_until_clock != 0 && thread.stalled_until_clock <= clock_;
    if (!by_step && !by_clock) continue;
    stalled_[i] = stalled_.back();
    stalled_.pop_back();
    set_ready(thread);
  }
}

/// No thread can run and no store is on its way. Threads that poll may still look at the clock, so time goes on.
bool Machine::idle(Lock& lock) {
  const bool all_empty =
      std::all_of(streams_.begin(), streams_.end(), [](const auto& stream) { return stream->grids.empty(); });
  if (all_empty) return false;
  bool is_released = false;
  for (std::size_t i = polling_.size(); i-- > 0;) {
    Thread& thread = *polling_[i];
    if (!thread.has_missed_a_change) continue;
    stop_watching(thread);
    set_ready(thread);
    is_released = true;
  }
  if (is_released) return true;
  bool is_held = false;
  for (Thread* thread : stalled_) {
    is_held = is_held || thread->stalled_until_clock != 0;
    if (thread->stalled_until_step == 0) continue;
    thread->stalled_until_step = statistics_.steps;
    is_released = true;
  }
  if (is_released) return true;
  // Another thread of the host may launch what is waited for: simulated time goes no faster than real time, for a
  // while.
  if (several_hosts_ && clock_ - clock_of_progress_ < kPatience.count() && !waited_for_hosts_) {
    const std::uint64_t launches = statistics_.launches;
    const auto time = polling_.empty() ? kPatience : std::chrono::nanoseconds(idle_nanoseconds_);
    waited_for_hosts_ = polling_.empty();
    if (changed_.wait_for(lock, time, [&] { return statistics_.launches != launches || !ready_.empty(); })) return true;
    if (waited_for_hosts_) return true;
  }
  if ((polling_.empty() && !is_held) || clock_ - clock_of_progress_ > kLongEnough) {
    fail("deadlock: nothing can go on" + Report::waits(*this));
  }
  clock_ += idle_nanoseconds_;
  idle_nanoseconds_ = std::min(2 * idle_nanoseconds_, kLongestIdle);
  while (!polling_.empty()) {
    Thread& thread = *polling_.back();
    stop_watching(thread);
    set_ready(thread);
  }
  return true;
}

void Machine::fail(const std::string& message) {
  const std::string text = "simulator: " + message;
  fault_.reset();
  for (const auto& stream : streams_) {
    if (!stream->grids.empty() && stream->last_host != std::this_thread::get_id()) stream->failure = text;
  }
  drop_everything();
  throw Error(ErrorCode::kSimulation, text);
}

/// Throws it, if one of these streams has one.
void Machine::tell_failure(const std::function<bool(const Stream&)>& is_meant) {
  std::string text;
  for (const auto& stream : streams_) {
    if (is_meant(*stream) && !stream->failure.empty()) text = std::exchange(stream->failure, "");
  }
  if (!text.empty()) throw Error(ErrorCode::kSimulation, text);
}

void Machine::drop_everything() {
  while (stores_.size() > 0) stores_.remove(stores_.at(0));
  ready_.clear();
  polling_.clear();
  stalled_.clear();
  watchers_.clear();
  startable_.clear();
  for (const auto& stream : streams_) {
    for (const auto& grid : stream->grids) {
      for (const auto& cluster : grid->clusters) {
        for (const auto& cta : cluster->ctas) {
          for (Thread& thread : cta->threads) {
            if (thread.fiber.is_started()) stacks_.release(thread.fiber.stop());
          }
        }
      }
    }
    stream->grids.clear();
  }
  std::fill(used_.begin(), used_.end(), 0U);
  a_grid_completed_ = true;
}

}  // namespace allnorm::sim
