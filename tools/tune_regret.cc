#include "tune_regret.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "dispatch/geometry.h"

namespace allnorm::tools {
namespace {

/// Enough that the quartiles of a quiet machine are within a per cent.
constexpr int kSamplesBeside = 15;
constexpr double kNever = std::numeric_limits<double>::infinity();

void add(std::vector<Candidate>& list, const Candidate& candidate) {
  if (std::find(list.begin(), list.end(), candidate) == list.end()) list.push_back(candidate);
}

/// Evenly on a logarithmic scale, from 1 to max_tokens; the same one more than once where they are close.
std::vector<std::int64_t> spread_counts(std::int64_t max_tokens, int count) {
  std::vector<std::int64_t> counts;
  for (int i = 0; i < count; ++i) {
    counts.push_back(std::llround(std::pow(static_cast<double>(max_tokens), (i + 0.5) / count)));
  }
  return counts;
}

/// Nobody leaves.
RaceResult measure_beside(RaceTrack& track, std::int64_t tokens, std::span<const Candidate> candidates, int samples) {
  RaceRules rules;
  rules.first_samples = rules.fewest_samples = rules.most_samples = samples;
  rules.far = 1e9;
  return race(track, tokens, candidates, rules);
}

Regret regret_of(const RaceResult& result, std::span<const Policy> policies) {
  Regret regret{result.tokens, result.leader(), {}};
  for (const Policy& policy : policies) {
    const Candidate chosen = policy.choose(result.tokens);
    const Standing* const standing = result.find(chosen);
    regret.of_policies.push_back(standing != nullptr ? *standing : Standing{chosen, {}, {kNever, 0}, true});
  }
  return regret;
}

}  // namespace

double Regret::at_least(std::size_t policy) const {
  const Standing& own = of_policies[policy];
  if (own.samples.empty()) return of(policy);
  return of(policy) - error_between(own, best) / best.time.median;
}

std::vector<Policy> policies_of(const TuneCase& kind, const Table& table) {
  const Geometry wide =
      default_geometry(kind.key.hidden_dim, kind.key.dtype, 1'000'000, kind.key.world_size, kind.multiprocessors);
  return {{"AUTO with the table", [kind, table](std::int64_t tokens) { return auto_choice(kind, &table, tokens); }},
          {"AUTO with the cost model", [kind](std::int64_t tokens) { return auto_choice(kind, nullptr, tokens); }},
          {"always one-shot", [wide](std::int64_t) { return Candidate{Strategy::kOneShot, wide}; }}};
}

std::vector<std::int64_t> fresh_counts(const TuneCase& kind, std::span<const TableBound> bounds,
                                       std::int64_t max_tokens, int count) {
  std::set<std::int64_t> taken;
  for (const std::int64_t tokens : token_grid(max_tokens, kind.multiprocessors)) taken.insert(tokens);
  for (const TableBound& bound : bounds) taken.insert(bound.max_tokens);
  std::vector<std::int64_t> counts;
  for (std::int64_t tokens : spread_counts(max_tokens, count)) {
    // The next one that is free: of the small counts, most are taken.
    while (taken.contains(tokens)) ++tokens;
    if (tokens > max_tokens) break;
    taken.insert(tokens);
    counts.push_back(tokens);
  }
  std::sort(counts.begin(), counts.end());
  return counts;
}

std::vector<std::int64_t> check_counts(std::span<const TableBound> bounds, std::int64_t max_tokens, int count) {
  const std::int64_t most = bounds.empty() ? 0 : std::min(max_tokens, bounds.back().max_tokens);
  if (most < 1) return {};
  std::set<std::int64_t> counts = {most};
  for (std::int64_t power = 1; power < most; power *= 2) counts.insert(power);
  for (const TableBound& bound : bounds) {
    if (bound.max_tokens >= most) break;
    counts.insert({bound.max_tokens, bound.max_tokens + 1});
  }
  for (const std::int64_t tokens : spread_counts(most, count)) counts.insert(tokens);
  return {counts.begin(), counts.end()};
}

std::vector<Regret> measure_regret(RaceTrack& track, const TuneCase& kind, std::span<const Policy> policies,
                                   std::span<const std::int64_t> counts, const SearchRules& rules,
                                   const std::function<void(std::int64_t tokens, double done)>& on_count) {
  const std::vector<Candidate> all = all_candidates(kind);
  const double begin = track.seconds();
  std::vector<Regret> regrets;
  double work = 0;
  for (const std::int64_t tokens : counts) work += static_cast<double>(tokens + 100);
  double done = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::int64_t tokens = counts[i];
    on_count(tokens, done / work);
    done += static_cast<double>(tokens + 100);
    std::vector<Candidate> racing = all;
    std::vector<Candidate> beside;
    for (const Policy& policy : policies) {
      add(racing, policy.choose(tokens));
      add(beside, policy.choose(tokens));
    }
    RaceRules race_rules = rules.race;
    race_rules.seconds = (rules.seconds - (track.seconds() - begin)) / static_cast<double>(counts.size() - i);
    const RaceResult raced = race(track, tokens, racing, race_rules);
    add(beside, raced.leader().candidate);
    Regret regret = regret_of(measure_beside(track, tokens, beside, kSamplesBeside), policies);
    if (regret.of(0) > kMostRegret) {
      regret = regret_of(measure_beside(track, tokens, beside, 2 * kSamplesBeside), policies);
    }
    regrets.push_back(std::move(regret));
  }
  return regrets;
}

double worst_regret(std::span<const Regret> regrets, std::size_t policy) {
  double worst = 0;
  for (const Regret& regret : regrets) worst = std::max(worst, regret.of(policy));
  return worst;
}

bool fits(std::span<const Regret> regrets) {
  return !regrets.empty() && std::all_of(regrets.begin(), regrets.end(),
                                         [](const Regret& regret) { return regret.at_least(0) <= kMostRegret; });
}

}  // namespace allnorm::tools
