#include "simulate_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "command.h"
#include "text.h"

namespace allnorm::tools {
namespace {

std::string plural(std::uint64_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string scenario_name(const SimulateOptions& options) {
  if (!options.scenario.empty()) return options.scenario;
  return options.mutation.empty() ? "standard" : options.mutation;
}

std::string schedules_of(const SimulateOptions& options, const Campaign& campaign) {
  if (options.exhaustive) return fmt::format("every schedule, at most {}", campaign.count);
  if (campaign.schedule.policy == sim::Policy::kReplay) return "the schedule that was given";
  return fmt::format("policy {}, seed{} {}", to_string(campaign.schedule.policy), campaign.count == 1 ? "" : "s",
                     campaign.count == 1
                         ? fmt::format("{}", campaign.first_seed)
                         : fmt::format("{} to {}", campaign.first_seed, campaign.first_seed + campaign.count - 1));
}

double rate_of(const CampaignResult& result) {
  return result.seconds > 0 ? static_cast<double>(result.schedules) / result.seconds : 0;
}

std::string outcome_of(const SimulateOptions& options, const CampaignResult& result) {
  std::string outcome =
      result.failures == 0
          ? fmt::format("{} passed: every output byte and status is as it must be",
                        result.schedules == 1 ? "the schedule" : fmt::format("all {} schedules", result.schedules))
          : fmt::format("{} of {} failed", result.failures, plural(result.schedules, "schedule"));
  if (!options.mutation.empty()) outcome = (result.failures > 0 ? "caught: " : "NOT caught: ") + outcome;
  if (!options.exhaustive) return outcome;
  return outcome +
         (result.is_complete ? "; there are no others" : "; there are more: the search was not completed, see --limit");
}

/// One line of the shell that makes this run again.
std::string command_of(const SimulateOptions& options, const CampaignFailure& failure) {
  const bool is_replay = options.exhaustive || options.schedule.policy == sim::Policy::kReplay;
  if (!is_replay) return fmt::format("{} --first-seed {} --seeds 1", options.command, failure.seed);
  // The first choice of all is what an empty list gives as well.
  return fmt::format("{} --replay {}", options.command,
                     failure.choices.empty() ? "0" : fmt::format("{}", fmt::join(failure.choices, ",")));
}

std::string to_text(const CampaignResult& result) {
  TextTable table({{}, {'r'}});
  table.add({"schedules", fmt::format("{}", result.schedules)});
  table.add({"failures", fmt::format("{}", result.failures)});
  table.add({"distinct interleavings", fmt::format("{}", result.interleavings.size())});
  table.add({"schedules a second", fmt::format("{:.0f}", rate_of(result))});
  table.add({"steps", fmt::format("{}", result.steps)});
  table.add({"stores", fmt::format("{}", result.stores)});
  table.add({"stale loads", fmt::format("{}", result.stale)});
  return table.to_string();
}

nlohmann::ordered_json to_json(const SimulateOptions& options, const Campaign& campaign, const CampaignResult& result) {
  nlohmann::ordered_json json = {{"scenario", scenario_name(options)},
                                 {"mutation", nullptr},
                                 {"world", campaign.scenario.world_size},
                                 {"calls", campaign.scenario.calls.size()},
                                 {"schedules", result.schedules},
                                 {"failures", result.failures},
                                 {"interleavings", result.interleavings.size()},
                                 {"seconds", result.seconds},
                                 {"schedules_per_second", rate_of(result)},
                                 {"steps", result.steps},
                                 {"stores", result.stores},
                                 {"stale_loads", result.stale}};
  if (!options.mutation.empty()) {
    json["mutation"] = options.mutation;
    json["caught"] = result.failures > 0;
  }
  if (options.exhaustive) json["completed"] = result.is_complete;
  json["first_failure"] = nullptr;
  if (result.first) {
    nlohmann::ordered_json first = {{"what", result.first->what}, {"command", command_of(options, *result.first)}};
    if (options.exhaustive) {
      first["choices"] = result.first->choices;
    } else {
      first["seed"] = result.first->seed;
    }
    json["first_failure"] = first;
  }
  json["outcome"] = outcome_of(options, result);
  return json;
}

}  // namespace

std::string describe_campaign(const SimulateOptions& options, const Campaign& campaign) {
  const sim_tests::Scenario& scenario = campaign.scenario;
  const auto gpus =
      static_cast<std::uint64_t>((scenario.world_size + scenario.ranks_per_gpu - 1) / scenario.ranks_per_gpu);
  return fmt::format("Runs {}{}: {} on {}, {}; {}.",
                     options.mutation.empty() ? "" : fmt::format("the mutation {} in ", options.mutation),
                     scenario_name(options) == options.mutation ? std::string("its own scenario")
                                                                : "the scenario " + scenario_name(options),
                     plural(static_cast<std::uint64_t>(scenario.world_size), "rank"), plural(gpus, "simulated GPU"),
                     plural(scenario.calls.size() + (scenario.again_with_tokens ? 1 : 0), "call"),
                     schedules_of(options, campaign));
}

int report_campaign(const SimulateOptions& options, const Campaign& campaign, const CampaignResult& result) {
  const bool as_it_should_be = (result.failures > 0) == !options.mutation.empty();
  if (options.json) {
    fmt::print(
        "{}\n",
        to_json(options, campaign, result).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return as_it_should_be ? kExitOk : kExitFailed;
  }
  fmt::print("{}\n", to_text(result));
  if (result.first) {
    fmt::print("{} failed: {}\n", options.exhaustive ? "A schedule" : fmt::format("Seed {}", result.first->seed),
               result.first->what);
    fmt::print("Again: {}\n\n", command_of(options, *result.first));
  }
  fmt::print("{}\n", outcome_of(options, result));
  return as_it_should_be ? kExitOk : kExitFailed;
}

}  // namespace allnorm::tools
