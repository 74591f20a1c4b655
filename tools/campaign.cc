#include "campaign.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "progress.h"

namespace allnorm::tools {
namespace {

using Clock = std::chrono::steady_clock;
using sim::Choices;
using sim_tests::Simulation;
constexpr std::chrono::milliseconds kLook{50};
constexpr std::uint64_t kSeedsOfAJob = 100;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::vector<std::uint32_t> choices_of(const std::vector<Choices::Decision>& decisions) {
  std::vector<std::uint32_t> choices;
  for (const Choices::Decision& decision : decisions) choices.push_back(decision.chosen);
  while (!choices.empty() && choices.back() == 0) choices.pop_back();
  return choices;
}

/// The next schedule of a depth-first search: the last decision that can be another one is the next one, and what
/// follows is open. False: there is none.
bool advance(std::vector<Choices::Decision> decisions, std::vector<std::uint32_t>& replay) {
  while (!decisions.empty() && decisions.back().chosen + 1 >= decisions.back().count) decisions.pop_back();
  if (decisions.empty()) return false;
  replay.clear();
  for (const Choices::Decision& decision : decisions) replay.push_back(decision.chosen);
  replay.back()++;
  return true;
}

/// The threads of a campaign, what they have found so far, and the counter on the terminal.
class Crew {
 public:
  /// Runs schedules on a Simulation that is its own, and hands each to record().
  using Job = std::function<void(Simulation& simulation)>;

  explicit Crew(const Campaign& campaign) : campaign_(campaign) {}

  CampaignResult work(int jobs, const Job& job) {
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < jobs; i++) threads.emplace_back([&] { run_job(job); });
      watch(jobs);
    }
    if (exception_) std::rethrow_exception(exception_);
    result_.seconds = begin_ ? seconds_since(*begin_) : 0;
    return std::move(result_);
  }

  /// One that will not count any more need not be run.
  bool is_wanted(std::uint64_t seed) {
    const std::lock_guard lock(mutex_);
    return !exception_ && !(campaign_.stop_at_failure && result_.first && seed > result_.first->seed);
  }

  void record(Simulation& simulation, const sim::Schedule& schedule, const std::string& failure) {
    const sim::Statistics statistics = simulation.statistics();
    const std::lock_guard lock(mutex_);
    result_.schedules++;
    result_.interleavings.insert(statistics.interleaving);
    result_.steps += statistics.steps;
    result_.stores += statistics.stores;
    result_.stale += statistics.stale;
    if (failure.empty()) return;
    result_.failures++;
    // In an exhaustive search all seeds are the same, and the first failure stays.
    if (result_.first && result_.first->seed <= schedule.seed) return;
    result_.first = {schedule.seed, choices_of(simulation.decisions()), failure};
  }

  void set_complete() {
    const std::lock_guard lock(mutex_);
    result_.is_complete = true;
  }

 private:
  void run_job(const Job& job) {
    try {
      Simulation simulation = [&] {
        // One after the other: the first compiles into the cache what the others then find there.
        const std::lock_guard lock(making_);
        return Simulation(campaign_.scenario, campaign_.simulation);
      }();
      {
        const std::lock_guard lock(mutex_);
        if (!begin_) begin_ = Clock::now();
      }
      job(simulation);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!exception_) exception_ = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    ended_++;
    changed_.notify_all();
  }

  void watch(int jobs) {
    Progress progress("running", campaign_.count);
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kLook, [&] { return ended_ == jobs; })) {
      if (!campaign_.shows_progress) continue;
      const std::uint64_t done = result_.schedules;
      const std::uint64_t failures = result_.failures;
      const std::string what = !begin_ ? "compiling the kernels"
                                       : fmt::format("{:.0f} schedules a second, {} failed",
                                                     static_cast<double>(done) / seconds_since(*begin_), failures);
      lock.unlock();
      progress.show(done, what);
      lock.lock();
    }
  }

  const Campaign& campaign_;
  std::mutex making_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int ended_ = 0;
  std::exception_ptr exception_;
  std::optional<Clock::time_point> begin_;  ///< Of the first run.
  CampaignResult result_;
};

}  // namespace

CampaignResult run_seeds(const Campaign& campaign) {
  Crew crew(campaign);
  std::atomic<std::uint64_t> next = 0;
  // Each thread compiles and loads for itself first, which takes as long as some hundred schedules.
  const std::uint64_t most = (campaign.count + kSeedsOfAJob - 1) / kSeedsOfAJob;
  const auto jobs = static_cast<int>(std::min(static_cast<std::uint64_t>(campaign.jobs), most));
  return crew.work(jobs, [&](Simulation& simulation) {
    sim::Schedule schedule = campaign.schedule;
    for (std::uint64_t i = next++; i < campaign.count; i = next++) {
      schedule.seed = campaign.first_seed + i;
      if (!crew.is_wanted(schedule.seed)) return;
      const std::string failure = simulation.run(schedule);
      crew.record(simulation, schedule, failure);
    }
  });
}

CampaignResult run_exhaustively(const Campaign& campaign) {
  Crew crew(campaign);
  return crew.work(1, [&](Simulation& simulation) {
    sim::Schedule schedule = campaign.schedule;
    schedule.policy = sim::Policy::kReplay;
    schedule.split_vectors = false;
    for (std::uint64_t i = 0; i < campaign.count; i++) {
      const std::string failure = simulation.run(schedule);
      crew.record(simulation, schedule, failure);
      if (campaign.stop_at_failure && !failure.empty()) return;
      if (!advance(simulation.decisions(), schedule.replay)) return crew.set_complete();
    }
  });
}

}  // namespace allnorm::tools
