#include "tune_search.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <ranges>
#include <tuple>
#include <utility>

#include "dispatch/geometry.h"
#include "tune_regret.h"

namespace allnorm::tools {
namespace {

/// With more, no geometry was ever among the fast ones.
constexpr int kMaxChunksPerWarp = 4;
/// A count this much below a turn's end need not be measured beside it.
constexpr double kSameCount = 1.1;
/// Between counts closer than this, where the choice changes is near enough, unless the wrong one costs more than
/// kMostRegret.
constexpr std::int64_t kCloseCounts = 16;
/// Where multiprocessors are filled, neighbours further apart than this may have another best one between them.
constexpr double kFarApart = 1.12;
constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

void add(std::vector<Candidate>& list, const Candidate& candidate) {
  if (std::find(list.begin(), list.end(), candidate) == list.end()) list.push_back(candidate);
}

class Search {
 public:
  Search(RaceTrack& track, const TuneCase& kind, const SearchRules& rules,
         const std::function<void(std::int64_t, double)>& on_count)
      : track_(track), kind_(kind), rules_(rules), on_count_(on_count), begin_(track.seconds()) {}

  RaceResults run() {
    const std::vector<std::int64_t> grid = token_grid(rules_.max_tokens, kind_.multiprocessors);
    const std::vector<Candidate> all = all_candidates(kind_);
    std::vector<std::int64_t> anchors;
    std::vector<std::int64_t> others;
    for (const std::int64_t tokens : grid) {
      (is_anchor(tokens, rules_.max_tokens) ? anchors : others).push_back(tokens);
    }
    races_left_ = grid.size();
    for (const std::int64_t tokens : anchors) run_race(tokens, all, work_of(tokens, all.size()));
    std::vector<std::pair<std::int64_t, std::vector<Candidate>>> between;  // before any of them adds neighbours
    for (const std::int64_t tokens : others) between.emplace_back(tokens, contenders(tokens));
    for (const auto& [tokens, candidates] : between) run_race(tokens, candidates, work_of(tokens, candidates.size()));
    refine();
    return std::move(results_);
  }

 private:
  /// In no unit: what a race costs, about, in relation to others.
  static double work_of(std::int64_t tokens, std::size_t candidates) {
    return static_cast<double>(tokens + 100) * static_cast<double>(candidates + 10);
  }

  void run_race(std::int64_t tokens, const std::vector<Candidate>& candidates, double work) {
    on_count_(tokens, done_ / (done_ + work_left(tokens)));
    RaceRules rules = rules_.race;
    // An equal share of what is left: races of few tokens need less, and leave more to the others.
    const double left = rules_.seconds - (track_.seconds() - begin_);
    rules.seconds = left / static_cast<double>(std::max<std::size_t>(races_left_, 1));
    results_.emplace(tokens, race(track_, tokens, candidates, rules));
    done_ += work;
    if (races_left_ > 0) --races_left_;
  }

  /// Of the counts that come, this one included.
  double work_left(std::int64_t from) const {
    double work = 0;
    const std::size_t all = all_candidates(kind_).size();
    for (const std::int64_t tokens : token_grid(rules_.max_tokens, kind_.multiprocessors)) {
      if (results_.contains(tokens) && tokens != from) continue;
      work += work_of(tokens, is_anchor(tokens, rules_.max_tokens) ? all : all / 3);
    }
    return std::max(work, work_of(from, all / 3));
  }

  /// Who races at a count between two that were measured.
  std::vector<Candidate> contenders(std::int64_t tokens) const {
    std::vector<Candidate> list;
    const auto above = results_.upper_bound(tokens);
    const double near = fills_multiprocessors(tokens) ? rules_.near_where_filled : rules_.near;
    for (const auto& neighbour : {above, std::prev(above)}) {
      if (neighbour == results_.end()) continue;
      for (const Standing& standing : neighbour->second.standings) {
        if (neighbour->second.behind(standing.candidate) <= near) add(list, standing.candidate);
      }
      for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
        if (const Standing* best = neighbour->second.best_of(strategy)) add(list, best->candidate);
      }
    }
    add(list, auto_choice(kind_, nullptr, tokens));
    return list;
  }

  /// From the count that gives each other multiprocessor a row to that of a few turns: there the order of the
  /// geometries changes most, and changes back.
  bool fills_multiprocessors(std::int64_t tokens) const {
    return 2 * tokens > kind_.multiprocessors && tokens < std::int64_t{4} * kind_.multiprocessors;
  }

  /// The first place where the choice of a bound must not be that of the next, and could be nearer to either; else the
  /// middle of the neighbours that are the furthest apart where that may hide another choice.
  std::optional<std::int64_t> next_halving() const {
    const std::vector<TableBound> bounds = fewest_bounds(results_, rules_.race.tolerance);
    for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
      const std::int64_t low = bounds[i].max_tokens;
      const auto at_low = results_.find(low);
      const std::int64_t high = std::next(at_low)->first;
      const Candidate next = {bounds[i + 1].strategy, bounds[i + 1].geometry};
      const double loss = at_low->second.behind(next);
      if (high - low <= (loss > kMostRegret ? 1 : std::max<std::int64_t>(1, low / kCloseCounts))) continue;
      if (loss > 2 * rules_.race.tolerance) return low + (high - low) / 2;
    }
    return widest_gap();
  }

  std::optional<std::int64_t> widest_gap() const {
    std::optional<std::int64_t> middle;
    double widest = kFarApart;
    for (auto at = results_.begin(); std::next(at) != results_.end(); ++at) {
      const std::int64_t low = at->first;
      const std::int64_t high = std::next(at)->first;
      const std::int64_t between = low + (high - low) / 2;
      const double ratio = static_cast<double>(high) / static_cast<double>(low);
      if (ratio <= widest || between == low || !fills_multiprocessors(between)) continue;
      widest = ratio;
      middle = between;
    }
    return middle;
  }

  void refine() {
    // Each halving leaves one place nearer to its end; the limit is for noise that moves the places themselves.
    for (int halvings = 0; halvings < 40; ++halvings) {
      const std::optional<std::int64_t> tokens = next_halving();
      if (!tokens || track_.seconds() - begin_ > rules_.seconds) return;
      const std::vector<Candidate> candidates = contenders(*tokens);
      run_race(*tokens, candidates, work_of(*tokens, candidates.size()));
    }
  }

  RaceTrack& track_;
  const TuneCase& kind_;
  const SearchRules& rules_;
  const std::function<void(std::int64_t, double)>& on_count_;
  double begin_;
  double done_ = 0;
  std::size_t races_left_ = 0;
  RaceResults results_;
};

/// Of the candidates, one that the table has already, else the least behind.
Candidate pick(const std::vector<Candidate>& candidates, const std::vector<TableBound>& bounds,
               RaceResults::const_iterator begin, RaceResults::const_iterator end) {
  const auto rank = [&](const Candidate& candidate) {
    const bool is_known = std::any_of(bounds.begin(), bounds.end(), [&](const TableBound& bound) {
      return bound.strategy == candidate.strategy && bound.geometry == candidate.geometry;
    });
    double behind = 0;
    for (auto at = begin; at != end; ++at) behind += at->second.behind(candidate);
    return std::tuple(!is_known, behind, candidate);
  };
  return *std::min_element(candidates.begin(), candidates.end(),
                           [&](const Candidate& a, const Candidate& b) { return rank(a) < rank(b); });
}

}  // namespace

Candidate auto_choice(const TuneCase& kind, const Table* table, std::int64_t tokens) {
  const Dispatcher dispatcher(table == nullptr ? std::nullopt : std::optional(*table),
                              {kind.key.world_size, kind.key.transport, kind.multiprocessors, kind.link});
  const CallShape shape = {kind.key.operation, kind.key.dtype, kind.key.quant, kind.key.hidden_dim, tokens};
  const Choice choice = dispatcher.choose(shape, Strategy::kAuto, {kNoLimit, kNoLimit});
  return {choice.strategy, choice.geometry};
}

std::vector<Candidate> all_candidates(const TuneCase& kind) {
  std::vector<Strategy> strategies = {Strategy::kOneShot};
  if (kind.key.world_size > 1) strategies.push_back(Strategy::kTwoShot);
  std::vector<Geometry> geometries;
  for (const Geometry& geometry : all_geometries(kind.key.hidden_dim, kind.key.dtype)) {
    if (geometry.chunks_per_warp <= kMaxChunksPerWarp) geometries.push_back(geometry);
  }
  // What the dispatcher takes by itself, which changes where clusters of a size no longer run at once.
  const int multiprocessors = kind.multiprocessors;
  for (const int tokens :
       {1, multiprocessors / 4, multiprocessors / 2, multiprocessors, multiprocessors + 1, 2 * multiprocessors + 1}) {
    const Geometry geometry = default_geometry(kind.key.hidden_dim, kind.key.dtype, std::max(tokens, 1),
                                               kind.key.world_size, multiprocessors);
    if (std::find(geometries.begin(), geometries.end(), geometry) == geometries.end()) geometries.push_back(geometry);
  }
  std::vector<Candidate> candidates;
  for (const Strategy strategy : strategies) {
    for (const Geometry& geometry : geometries) candidates.push_back({strategy, geometry});
  }
  return candidates;
}

std::vector<std::int64_t> token_grid(std::int64_t max_tokens, int multiprocessors) {
  std::vector<std::int64_t> grid;
  for (std::int64_t power = 1; power <= max_tokens; power *= 2) {
    grid.push_back(power);
    if (power > 1) grid.push_back(power + power / 2);
  }
  // Turns end at other counts for each geometry, as threads and registers have it, but all within these.
  for (const int part : {8, 4, 2}) grid.push_back(multiprocessors / part);
  for (int quarters = 3; quarters <= 12; ++quarters) grid.push_back(std::int64_t{quarters} * multiprocessors / 4);
  grid.push_back(std::int64_t{4} * multiprocessors);
  grid.push_back(max_tokens);
  std::erase_if(grid, [&](std::int64_t tokens) { return tokens < 1 || tokens > max_tokens; });
  std::sort(grid.begin(), grid.end());
  grid.erase(std::unique(grid.begin(), grid.end()), grid.end());
  // From the top: the larger one of two that are close may be the end of a turn, and the limit stays.
  std::vector<std::int64_t> thinned;
  for (const std::int64_t tokens : std::views::reverse(grid)) {
    const bool is_close =
        !thinned.empty() && static_cast<double>(thinned.back()) < kSameCount * static_cast<double>(tokens);
    if (is_anchor(tokens, max_tokens) || tokens < 16 || !is_close) thinned.push_back(tokens);
  }
  std::reverse(thinned.begin(), thinned.end());
  return thinned;
}

bool is_anchor(std::int64_t tokens, std::int64_t max_tokens) {
  if (tokens == max_tokens) return true;
  while (tokens % 4 == 0) tokens /= 4;
  return tokens == 1;
}

std::vector<TableBound> fewest_bounds(const RaceResults& results, double tolerance) {
  std::vector<TableBound> bounds;
  for (auto begin = results.begin(); begin != results.end();) {
    std::vector<Candidate> good;
    for (const Standing& standing : begin->second.standings) {
      if (begin->second.is_as_good(standing.candidate, tolerance)) good.push_back(standing.candidate);
    }
    auto end = std::next(begin);
    for (; end != results.end(); ++end) {
      std::vector<Candidate> still = good;
      std::erase_if(still, [&](const Candidate& one) { return !end->second.is_as_good(one, tolerance); });
      if (still.empty()) break;
      good = std::move(still);
    }
    const Candidate chosen = pick(good, bounds, begin, end);
    const auto last = std::prev(end);
    TableBound bound;
    const bool holds_all = end == results.end() && last->first >= kTokensForAll;
    bound.max_tokens = holds_all ? TableBound::kNoLimit : last->first;
    bound.strategy = chosen.strategy;
    bound.geometry = chosen.geometry;
    bound.microseconds = static_cast<float>(last->second.find(chosen)->time.median);
    bounds.push_back(bound);
    begin = end;
  }
  return bounds;
}

Unclear count_unclear(const RaceResults& results) {
  Unclear unclear;
  for (const auto& [tokens, result] : results) {
    if (!result.is_clear) ++unclear.races;
    if (result.is_cut_short) ++unclear.cut_short;
  }
  return unclear;
}

RaceResults search(RaceTrack& track, const TuneCase& kind, const SearchRules& rules,
                   const std::function<void(std::int64_t tokens, double done)>& on_count) {
  return Search(track, kind, rules, on_count).run();
}

}  // namespace allnorm::tools
