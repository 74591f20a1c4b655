#include "tune_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <system_error>

#include "dispatch/names.h"
#include "line_chart.h"
#include "measure.h"
#include "output_file.h"
#include "text.h"

namespace allnorm::tools {
namespace {

/// A logarithmic axis has no 0.
constexpr double kLeastPercent = 0.1;

std::string to_text(const Geometry& g) {
  return fmt::format("{}x{}x{}", g.ctas_per_row, g.warps_per_cta, g.chunks_per_warp);
}

std::string to_text(const Candidate& candidate) {
  return fmt::format("{} {}", to_string(candidate.strategy), to_text(candidate.geometry));
}

std::string percent(double share) { return std::isfinite(share) ? fmt::format("{:.1f} %", 100 * share) : "-"; }

std::string title_of(const TunedEntry& entry, const char* what) {
  return fmt::format("{}: {}, {}", what, describe(entry.kind.key), entry.place);
}

/// Where another strategy is chosen than before.
std::vector<double> crossovers(std::span<const TableBound> bounds) {
  std::vector<double> places;
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    if (bounds[i].strategy != bounds[i + 1].strategy) places.push_back(static_cast<double>(bounds[i].max_tokens));
  }
  return places;
}

}  // namespace

std::string describe(const TableKey& key) {
  return fmt::format("world {}, {} {} {}", key.world_size, key.hidden_dim, to_string(key.dtype), to_string(key.quant));
}

std::string file_name(const TableKey& key) {
  return fmt::format("w{}-{}-{}-{}-{}", key.world_size, key.hidden_dim, to_string(key.dtype), to_string(key.quant),
                     to_string(key.transport));
}

std::string bounds_text(std::span<const TableBound> bounds) {
  TextTable table({{'r'}, {}, {}, {'r'}});
  table.add({"tokens up to", "strategy", "geometry", "us a call"});
  for (const TableBound& bound : bounds) {
    const bool has_limit = bound.max_tokens != TableBound::kNoLimit;
    table.add({has_limit ? std::to_string(bound.max_tokens) : "any", to_string(bound.strategy), to_text(bound.geometry),
               fmt::format("{:.2f}", bound.microseconds)});
  }
  return table.to_string();
}

std::string races_sentence(const TunedEntry& entry) {
  const Unclear unclear = count_unclear(entry.races);
  std::string text = fmt::format("{} races", entry.races.size());
  if (unclear.races == 0) return text + ", all clear";
  text += fmt::format(", {} not clear at their end", unclear.races);
  return unclear.cut_short == 0 ? text : text + fmt::format(", {} of them for want of time", unclear.cut_short);
}

std::string regret_sentence(const TunedEntry& entry) {
  const auto worst = std::max_element(entry.regrets.begin(), entry.regrets.end(),
                                      [](const Regret& a, const Regret& b) { return a.of(0) < b.of(0); });
  if (worst == entry.regrets.end()) return "the regret of AUTO was not measured";
  if (!std::isfinite(worst->of(0))) {
    return fmt::format("at {} tokens, the GPU has no room for what AUTO chooses", worst->tokens);
  }
  return fmt::format("AUTO at {} token counts{}: at most {} longer than the best, at {} tokens", entry.regrets.size(),
                     entry.races.empty() ? "" : " that the table was not made from", percent(worst->of(0)),
                     worst->tokens);
}

std::string regret_text(const TunedEntry& entry) {
  TextTable table({{'r'}, {}, {'r'}, {}, {'r'}, {'r'}, {'r'}, {'r'}});
  table.add({"tokens", "AUTO", "us", "the best", "us", "regret", "cost model's", "one-shot's"});
  for (const Regret& regret : entry.regrets) {
    const Standing& own = regret.of_policies[0];
    table.add({std::to_string(regret.tokens), to_text(own.candidate), fmt::format("{:.2f}", own.time.median),
               to_text(regret.best.candidate), fmt::format("{:.2f}", regret.best.time.median), percent(regret.of(0)),
               percent(regret.of(1)), percent(regret.of(2))});
  }
  return table.to_string();
}

std::string time_chart(const TunedEntry& entry) {
  LineChart chart{title_of(entry, "Fused call"), "tokens", "microseconds a call", {}};
  double least = std::numeric_limits<double>::max();
  double most = 0;
  for (const Strategy strategy : kKernelStrategies) {
    ChartLine line{fmt::format("{}, its best geometry", to_string(strategy)), {}, false};
    for (const auto& [tokens, result] : entry.races) {
      const Standing* const best = result.best_of(strategy);
      if (best == nullptr) continue;
      line.points.emplace_back(static_cast<double>(tokens), best->time.median);
      least = std::min(least, best->time.median);
      most = std::max(most, best->time.median);
    }
    if (!line.points.empty()) chart.lines.push_back(std::move(line));
  }
  for (const double place : crossovers(entry.bounds)) {
    chart.lines.push_back(
        {fmt::format("crossover, above {:.0f} tokens", place), {{place, least}, {place, most}}, true});
  }
  return to_svg(chart);
}

std::string regret_chart(const TunedEntry& entry) {
  LineChart chart{title_of(entry, "Regret"),
                  "tokens",
                  fmt::format("per cent longer than the best ({} where less)", kLeastPercent),
                  {}};
  for (std::size_t policy = 0; policy < entry.policies.size(); ++policy) {
    ChartLine line{entry.policies[policy].name, {}, policy > 0};
    for (const Regret& regret : entry.regrets) {
      if (!std::isfinite(regret.of(policy))) continue;
      line.points.emplace_back(static_cast<double>(regret.tokens), std::max(100 * regret.of(policy), kLeastPercent));
    }
    chart.lines.push_back(std::move(line));
  }
  if (!entry.regrets.empty()) {
    const auto first = static_cast<double>(entry.regrets.front().tokens);
    const auto last = static_cast<double>(entry.regrets.back().tokens);
    chart.lines.push_back(
        {"the most that a table may have", {{first, 100 * kMostRegret}, {last, 100 * kMostRegret}}, true});
  }
  return to_svg(chart);
}

std::string to_markdown(const TunedEntry& entry) {
  const std::string name = file_name(entry.kind.key);
  std::string text = fmt::format(
      "# {}\n\n{}; {:.0f} s, {}. Microseconds a call: CUDA graphs of {} calls with PDL, the slowest rank, medians.\n\n"
      "```\n{}```\n\n![time against tokens]({}-time.svg)\n\n",
      describe(entry.kind.key), entry.place, entry.seconds, races_sentence(entry), Meter::kCallsOfSample,
      bounds_text(entry.bounds), name);
  if (entry.regrets.empty()) return text;
  return text + fmt::format("{}.\n\n```\n{}```\n\n![regret against tokens]({}-regret.svg)\n", regret_sentence(entry),
                            regret_text(entry), name);
}

void write_report(const std::string& folder, const TunedEntry& entry) {
  std::error_code ignored;  // write_output says what is wrong
  std::filesystem::create_directories(folder, ignored);
  const std::string path = folder + "/" + file_name(entry.kind.key);
  write_output(path + ".md", to_markdown(entry), "--report");
  write_output(path + "-time.svg", time_chart(entry), "--report");
  if (!entry.regrets.empty()) write_output(path + "-regret.svg", regret_chart(entry), "--report");
}

}  // namespace allnorm::tools
