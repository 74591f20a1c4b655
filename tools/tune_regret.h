// Regret: how much longer a call takes than it would with the best of all strategies and geometries, at token counts
// that the table was not made from.
#ifndef ALLNORM_TOOLS_TUNE_REGRET_H_
#define ALLNORM_TOOLS_TUNE_REGRET_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tune_search.h"

namespace allnorm::tools {

/// More than this, and a table does not fit.
inline constexpr double kMostRegret = 0.03;

/// What one might run in place of the best.
struct Policy {
  std::string name;
  std::function<Candidate(std::int64_t tokens)> choose;
};

/// AUTO with the table, AUTO without one, and always one-shot with the default geometry of many tokens.
std::vector<Policy> policies_of(const TuneCase& kind, const Table& table);

struct Regret {
  std::int64_t tokens = 0;
  Standing best;
  std::vector<Standing> of_policies;  ///< In their order.

  /// 0.02: takes 2 % longer than the best. Infinite if the GPU has no room for what the policy chose.
  double of(std::size_t policy) const { return of_policies[policy].time.median / best.time.median - 1; }
  /// What of that noise cannot explain; below 0 where it could explain more.
  double at_least(std::size_t policy) const;
};

/// So many counts from 1 to max_tokens, fewer where there are not enough, spread evenly on a logarithmic scale; none
/// is one of the grid's or of the table's bounds.
std::vector<std::int64_t> fresh_counts(const TuneCase& kind, std::span<const TableBound> bounds,
                                       std::int64_t max_tokens, int count);

/// Of a check: the powers of two, both sides of each bound, and so many more counts spread evenly on a logarithmic
/// scale; all up to max_tokens and to the last bound, as far as the entry says anything.
std::vector<std::int64_t> check_counts(std::span<const TableBound> bounds, std::int64_t max_tokens, int count);

/// Races all candidates at each count; then the policies' choices and the best once more beside each other, so that
/// they are compared with as many samples. Where the first policy seems to be too slow, once more, with twice as many.
std::vector<Regret> measure_regret(RaceTrack& track, const TuneCase& kind, std::span<const Policy> policies,
                                   std::span<const std::int64_t> counts, const SearchRules& rules,
                                   const std::function<void(std::int64_t tokens, double done)>& on_count);

/// The largest, of a policy.
double worst_regret(std::span<const Regret> regrets, std::size_t policy);

/// Whether the first policy is within kMostRegret wherever it was measured, as far as noise lets one say. Without any
/// measurement it does not fit.
bool fits(std::span<const Regret> regrets);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_REGRET_H_
