// `allnorm simulate --list` and `--mutation-table`: the faults, and the first seed that finds each.
#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "calls/parallel.h"
#include "campaign.h"
#include "command.h"
#include "progress.h"
#include "simulate.h"
#include "text.h"

namespace allnorm::tools {
namespace {

using sim_tests::Mutation;

constexpr std::uint64_t kSeeds = 1000;
constexpr std::size_t kLongestFailure = 110;

/// Its first line, and of that the beginning; what Markdown would take for a column is taken out.
std::string shorten(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.size() > kLongestFailure) {
    // Not within a word.
    line.resize(line.rfind(' ', kLongestFailure));
    line += " ...";
  }
  for (char& c : line) c = c == '|' ? '/' : c;
  return line;
}

CampaignResult run_until_found(const Mutation& mutation, const SimulateOptions& options) {
  Campaign campaign;
  campaign.scenario = scenario_of(mutation, true);
  campaign.simulation.mutation = mutation.replacements;
  campaign.schedule = options.schedule;
  campaign.first_seed = options.first_seed;
  campaign.count = options.seeds.value_or(kSeeds);
  campaign.stop_at_failure = true;
  campaign.shows_progress = false;  // several at a time
  return run_seeds(campaign);
}

std::string to_markdown(const std::vector<CampaignResult>& results) {
  std::string text =
      "| mutation | rule | what | first failing seed | how it shows |\n| --- | --- | --- | --- | --- |\n";
  for (std::size_t i = 0; i < results.size(); i++) {
    const Mutation& mutation = sim_tests::mutations()[i];
    const auto& first = results[i].first;
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", mutation.name, mutation.rule, mutation.what,
                        first ? fmt::format("{}", first->seed) : "none", first ? shorten(first->what) : "NOT caught");
  }
  return text;
}

nlohmann::ordered_json to_json(const std::vector<CampaignResult>& results) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < results.size(); i++) {
    const Mutation& mutation = sim_tests::mutations()[i];
    const auto& first = results[i].first;
    json.push_back(nlohmann::ordered_json{
        {"mutation", mutation.name},
        {"rule", mutation.rule},
        {"what", mutation.what},
        {"caught", first.has_value()},
        {"first_failing_seed", first ? nlohmann::ordered_json(first->seed) : nlohmann::ordered_json(nullptr)},
        {"failure", first ? nlohmann::ordered_json(first->what) : nlohmann::ordered_json(nullptr)}});
  }
  return json;
}

}  // namespace

int list_mutations(bool json) {
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Mutation& mutation : sim_tests::mutations()) {
      list.push_back(
          nlohmann::ordered_json{{"mutation", mutation.name}, {"rule", mutation.rule}, {"what", mutation.what}});
    }
    fmt::print("{}\n", list.dump(2));
    return kExitOk;
  }
  TextTable table({{}, {'r'}, {'l', 80}});
  table.add({"mutation", "rule", "what (rules: docs/design.md, section 4)"});
  for (const Mutation& mutation : sim_tests::mutations()) table.add({mutation.name, mutation.rule, mutation.what});
  fmt::print("{}", table.to_string());
  return kExitOk;
}

int print_mutation_table(const SimulateOptions& options) {
  const auto mutations = sim_tests::mutations();
  std::vector<CampaignResult> results(mutations.size());
  Progress progress("running", mutations.size());
  std::mutex mutex;
  calls::parallel_for(mutations.size(), static_cast<unsigned>(options.jobs), [&](std::size_t i, unsigned) {
    {
      const std::lock_guard lock(mutex);
      progress.step(mutations[i].name);
    }
    results[i] = run_until_found(mutations[i], options);
  });
  const auto caught = std::count_if(results.begin(), results.end(), [](const auto& r) { return r.first.has_value(); });
  const bool all = static_cast<std::size_t>(caught) == results.size();
  if (options.json) {
    fmt::print("{}\n", to_json(results).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    fmt::print("{}", to_markdown(results));
  }
  if (!all)
    fmt::print(stderr, "allnorm: {} of {} mutations were NOT caught\n",
               results.size() - static_cast<std::size_t>(caught), results.size());
  return all ? kExitOk : kExitFailed;
}

}  // namespace allnorm::tools
