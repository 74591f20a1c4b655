// A Campaign: one scenario under many schedules, on several threads, and what came of it.
//
// Runs do not depend on each other, and of all failures the one of the smallest seed is kept: the result is the same
// for any number of threads.
#ifndef ALLNORM_TOOLS_CAMPAIGN_H_
#define ALLNORM_TOOLS_CAMPAIGN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "device/sim/schedule.h"
#include "sim/scenario.h"

namespace allnorm::tools {

struct Campaign {
  sim_tests::Scenario scenario;
  sim_tests::Simulation::Options simulation;
  sim::Schedule schedule;  ///< Of every run, but for its seed, or in an exhaustive search its choices.
  std::uint64_t first_seed = 1;
  std::uint64_t count = 1;       ///< Of seeds; the most schedules of an exhaustive search.
  bool stop_at_failure = false;  ///< Seeds after the first that failed are not all run.
  int jobs = 1;                  ///< The most threads.
  bool shows_progress = true;
};

struct CampaignFailure {
  std::uint64_t seed = 0;
  std::vector<std::uint32_t> choices;  ///< Of a replay; first choices at its end are left out.
  std::string what;
};

struct CampaignResult {
  std::uint64_t schedules = 0;
  std::uint64_t failures = 0;
  std::unordered_set<std::uint64_t> interleavings;
  std::uint64_t steps = 0;
  std::uint64_t stores = 0;
  std::uint64_t stale = 0;
  std::optional<CampaignFailure> first;
  double seconds = 0;        ///< From the first run on: compiling is not counted.
  bool is_complete = false;  ///< An exhaustive search has gone through all schedules.
};

/// Runs all seeds. Throws Error, std::invalid_argument: what a Simulation throws when it is made.
CampaignResult run_seeds(const Campaign& campaign);
/// Runs every schedule of Policy::kReplay, depth first, on one thread.
CampaignResult run_exhaustively(const Campaign& campaign);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_CAMPAIGN_H_
