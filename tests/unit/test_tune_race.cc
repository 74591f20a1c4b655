// The race and the search of `allnorm tune`, over times that a model gives: with noise, drift and disturbances, and
// places where the choice changes.
#include <algorithm>
#include <cmath>
#include <random>

#include "catch.h"
#include "error_of.h"
#include "tools/tune_regret.h"
#include "tools/tune_search.h"
#include "tools/tune_table.h"

using namespace allnorm;
using namespace allnorm::tools;
using allnorm::testing::error_of;

namespace {

constexpr int kMultiprocessors = 132;

TuneCase kind_of(int world_size = 2) {
  TuneCase kind;
  kind.key.world_size = world_size;
  kind.key.quant = Quant::kFp8;
  kind.key.hidden_dim = 7168;
  kind.multiprocessors = kMultiprocessors;
  return kind;
}

/// Times that look like those of GPUs: one-shot has a hop less and sends more; a geometry has a turn for as many rows
/// as it has clusters, wide clusters cost a barrier, and too few warps cost time for each row.
double model_time(std::int64_t tokens, const Candidate& candidate) {
  const Geometry& g = candidate.geometry;
  const auto turns = static_cast<double>((tokens * g.ctas_per_row + kMultiprocessors - 1) / kMultiprocessors);
  const bool one_shot = candidate.strategy == Strategy::kOneShot;
  const double hops = one_shot ? 0.7 : 1.5;
  const double bytes = static_cast<double>(tokens) * (one_shot ? 0.060 : 0.038);
  const double row = 1.0 / g.ctas_per_row + 0.04 * g.chunks_per_warp * g.ctas_per_row;
  return 1.8 + hops + 0.05 * g.ctas_per_row + std::max(bytes, 0.3 * turns * row) + 0.1 * row * turns;
}

class ModelTrack final : public RaceTrack {
 public:
  explicit ModelTrack(unsigned seed, double noise = 0.004) : random_(seed), noise_(noise) {}

  std::vector<std::vector<double>> run(std::int64_t tokens, std::span<const Candidate> candidates,
                                       int samples) override {
    std::vector<std::vector<double>> all(candidates.size());
    for (int k = 0; k < samples; ++k) {
      for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (candidates[i].geometry == no_room) continue;
        double time = model_time(tokens, candidates[i]) * (1 + noise_ * normal_(random_)) * (1 + drift * ++calls);
        if (uniform_(random_) < disturbed) time *= 1.8;
        all[i].push_back(time);
        seconds_ += time * 80e-6;
      }
    }
    return all;
  }
  double seconds() override { return seconds_; }

  Geometry no_room{};
  double disturbed = 0;  ///< How often something else takes a sample's time.
  double drift = 0;
  double calls = 0;  ///< Samples that were asked for.

 private:
  std::mt19937 random_;
  std::normal_distribution<double> normal_;
  std::uniform_real_distribution<double> uniform_;
  double noise_;
  double seconds_ = 0;
};

double best_time(const TuneCase& kind, std::int64_t tokens) {
  double best = 1e9;
  for (const Candidate& candidate : all_candidates(kind)) best = std::min(best, model_time(tokens, candidate));
  return best;
}

double true_regret(const TuneCase& kind, std::int64_t tokens, const Candidate& candidate) {
  return model_time(tokens, candidate) / best_time(kind, tokens) - 1;
}

/// The table that `allnorm tune` would make.
Table tune(RaceTrack& track, const TuneCase& kind, const SearchRules& rules = {}) {
  const auto bounds = fewest_bounds(search(track, kind, rules, [](std::int64_t, double) {}), rules.race.tolerance);
  return Table::parse(to_json(TableParts{{"GPU", "1", "1", "d", "2026-11-26", "test"}, {{kind.key, bounds}}}),
                      "t.json");
}

const Candidate kA = {Strategy::kOneShot, {1, 28, 1}};
const Candidate kB = {Strategy::kOneShot, {4, 7, 1}};
const Candidate kC = {Strategy::kTwoShot, {1, 28, 1}};

/// Times that are given.
class GivenTrack final : public RaceTrack {
 public:
  explicit GivenTrack(std::vector<std::pair<Candidate, double>> times, double noise = 0)
      : times_(std::move(times)), noise_(noise) {}
  std::vector<std::vector<double>> run(std::int64_t, std::span<const Candidate> candidates, int samples) override {
    std::vector<std::vector<double>> all;
    for (const Candidate& candidate : candidates) {
      std::vector<double>& own = all.emplace_back();
      for (int k = 0; k < samples; ++k) own.push_back(time_of(candidate) * (1 + noise_ * normal_(random_)));
      count += samples;
    }
    return all;
  }
  double seconds() override { return 1.0 * count; }
  int count = 0;

 private:
  double time_of(const Candidate& candidate) const {
    for (const auto& [known, time] : times_) {
      if (known == candidate) return time;
    }
    return 1e6;
  }
  std::vector<std::pair<Candidate, double>> times_;
  double noise_;
  std::mt19937 random_{7};
  std::normal_distribution<double> normal_;
};

RaceResult result_of(std::int64_t tokens, const std::vector<std::pair<Candidate, double>>& times) {
  RaceResult result;
  result.tokens = tokens;
  for (const auto& [candidate, time] : times) result.standings.push_back({candidate, {time, time}, {time, 0}, false});
  std::sort(result.standings.begin(), result.standings.end(),
            [](const Standing& a, const Standing& b) { return a.time.median < b.time.median; });
  return result;
}

RaceResults results_of(const std::vector<RaceResult>& list) {
  RaceResults results;
  for (const RaceResult& result : list) results.emplace(result.tokens, result);
  return results;
}

}  // namespace

TEST_CASE("a race that is clear ends early, and who is far behind hardly runs", "[tune]") {
  GivenTrack track({{kA, 3.0}, {kB, 3.5}, {kC, 9.0}}, 0.001);
  const RaceResult result = race(track, 1, std::vector{kC, kA, kB}, {});
  CHECK(result.leader().candidate == kA);
  CHECK(result.is_clear);
  CHECK(result.find(kC)->samples.size() == 2);
  CHECK(result.find(kB)->samples.size() == 5);
  CHECK(result.leader().samples.size() == 10);
  CHECK(result.standings.back().candidate == kC);
  CHECK(result.behind(kC) > 1.9);
  CHECK_FALSE(result.is_as_good(kB, 0.01));
}

TEST_CASE("a race of equals ends when their difference does not matter", "[tune]") {
  GivenTrack track({{kA, 3.0}, {kB, 3.006}}, 0.002);
  const RaceResult result = race(track, 1, std::vector{kA, kB}, {});
  CHECK(result.is_clear);
  CHECK(result.is_as_good(kA, 0.01));
  CHECK(result.is_as_good(kB, 0.01));
  CHECK(result.leader().samples.size() < 40);
}

TEST_CASE("a race whose noise hides the difference goes to its limit, or to the end of its time", "[tune]") {
  GivenTrack track({{kA, 3.0}, {kB, 3.03}}, 0.2);
  const RaceResult all = race(track, 1, std::vector{kA, kB}, {});
  CHECK_FALSE(all.is_clear);
  CHECK(all.leader().samples.size() == 40);
  CHECK(all.is_as_good(kA, 0.01) + all.is_as_good(kB, 0.01) >= 1);

  track.count = 0;
  RaceRules hurried;
  hurried.seconds = 1;  // each sample takes one
  const RaceResult early = race(track, 1, std::vector{kA, kB}, hurried);
  CHECK_FALSE(early.is_clear);
  CHECK(track.count == 2 * 5);
}

TEST_CASE("candidates without room do not take part; without any that fits there is no race", "[tune]") {
  ModelTrack track(1);
  track.no_room = kA.geometry;
  const RaceResult result = race(track, 1, std::vector{kA, kB, kC}, {});
  CHECK(result.standings.size() == 1);
  CHECK(result.find(kA) == nullptr);
  CHECK(std::isinf(result.behind(kC)));
  CHECK_FALSE(result.is_as_good(kA, 0.01));
  CHECK(error_of(ErrorCode::kUnsupported, [&] { race(track, 5, std::vector{kA, kC}, {}); }) ==
        "5 tokens: the GPU has room for none of the geometries");
}

TEST_CASE("a disturbed sample does not drop the best", "[tune]") {
  int found = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) {
    ModelTrack track(seed, 0.01);
    track.disturbed = 0.05;
    const std::int64_t tokens = 1 + 13 * seed;
    const RaceResult result = race(track, tokens, all_candidates(kind_of()), {});
    if (true_regret(kind_of(), tokens, result.leader().candidate) < 0.02) ++found;
  }
  CHECK(found >= 49);
}

TEST_CASE("the grid has the powers of two, what is between, and the ends of turns", "[tune]") {
  const std::vector<std::int64_t> grid = token_grid(4096, kMultiprocessors);
  CHECK(grid.front() == 1);
  CHECK(grid.back() == 4096);
  CHECK(std::is_sorted(grid.begin(), grid.end()));
  CHECK(std::adjacent_find(grid.begin(), grid.end()) == grid.end());
  for (const int tokens : {2, 3, 4, 6, 16, 33, 64, 66, 132, 256, 264, 528, 1024, 3072}) {
    INFO(tokens);
    CHECK(std::find(grid.begin(), grid.end(), tokens) != grid.end());
  }
  for (const int tokens : {32, 128, 512}) {
    INFO(tokens);
    CHECK(std::find(grid.begin(), grid.end(), tokens) == grid.end());  // 33, 132 and 528 are beside them
  }
  CHECK(grid.size() <= 30);
  CHECK(token_grid(1, kMultiprocessors) == std::vector<std::int64_t>{1});
  CHECK(token_grid(100, 3).back() == 100);
  for (const int tokens : {1, 4, 16, 4096}) CHECK(is_anchor(tokens, 4096));
  CHECK(is_anchor(100, 100));
  for (const int tokens : {2, 3, 8, 12, 2048}) CHECK_FALSE(is_anchor(tokens, 4096));
}

TEST_CASE("what AUTO would run by itself races, whatever the tokens", "[tune]") {
  for (const int hidden_dim : {8, 2880, 7168, 16384, 65536}) {
    TuneCase kind = kind_of();
    kind.key.hidden_dim = hidden_dim;
    const std::vector<Candidate> all = all_candidates(kind);
    for (std::int64_t tokens = 1; tokens <= 5000; tokens += tokens < 600 ? 1 : 97) {
      INFO(hidden_dim << " " << tokens);
      CHECK(std::find(all.begin(), all.end(), auto_choice(kind, nullptr, tokens)) != all.end());
    }
  }
  for (const Candidate& candidate : all_candidates(kind_of(1))) CHECK(candidate.strategy == Strategy::kOneShot);
}

TEST_CASE("a choice is kept as long as it is as good as the best", "[tune]") {
  // B is the best at 2, but not by enough; at 4 it is.
  const auto bounds_if = [](double c_at_4) {
    return fewest_bounds(
        results_of({result_of(1, {{kA, 3.0}, {kB, 3.2}}), result_of(2, {{kA, 3.02}, {kB, 3.0}}),
                    result_of(4, {{kA, 3.5}, {kB, 3.1}, {kC, c_at_4}}), result_of(8, {{kB, 4.4}, {kC, 4.0}})}),
        0.01);
  };
  const auto bounds = bounds_if(3.2);
  REQUIRE(bounds.size() == 3);
  CHECK(bounds[0].max_tokens == 2);
  CHECK(bounds[0].geometry == kA.geometry);
  CHECK(bounds[0].microseconds == 3.02F);
  CHECK(bounds[1].max_tokens == 4);
  CHECK(bounds[1].geometry == kB.geometry);
  CHECK(bounds[2].max_tokens == TableBound::kNoLimit);
  CHECK(bounds[2].strategy == Strategy::kTwoShot);
  CHECK(bounds[2].microseconds == 4.0F);
  // C is not quite the best at 4, but it is what comes next anyway.
  const auto fewer = bounds_if(3.11);
  REQUIRE(fewer.size() == 2);
  CHECK(fewer[1].strategy == Strategy::kTwoShot);
}

TEST_CASE("of choices that are as good, the table keeps to those that it has", "[tune]") {
  const auto bounds = fewest_bounds(
      results_of({result_of(1, {{kA, 3.0}, {kB, 3.3}, {kC, 3.3}}), result_of(2, {{kA, 3.3}, {kB, 3.0}, {kC, 3.3}}),
                  result_of(4, {{kA, 3.02}, {kB, 3.3}, {kC, 3.0}})}),
      0.01);
  REQUIRE(bounds.size() == 3);
  CHECK(bounds[2].strategy == kA.strategy);
  CHECK(bounds[2].geometry == kA.geometry);
}

TEST_CASE("the table is within 3 % of the best at token counts that it was not made from", "[tune]") {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const TuneCase kind = kind_of();
    ModelTrack track(seed);
    track.disturbed = 0.01;
    track.drift = 1e-6;
    const Table table = tune(track, kind);
    const auto bounds = table.lookup(kind.key);
    CHECK(bounds.size() <= 10);
    const auto counts = fresh_counts(kind, bounds, 4096, 30);
    REQUIRE(counts.size() == 30);
    double worst = 0;
    for (const std::int64_t tokens : counts) {
      worst = std::max(worst, true_regret(kind, tokens, auto_choice(kind, &table, tokens)));
    }
    CHECK(worst < 0.03);
  }
}

TEST_CASE("two runs give tables whose choices differ in time by less than 3 %", "[tune]") {
  const TuneCase kind = kind_of();
  ModelTrack one(11);
  ModelTrack two(12);
  const Table first = tune(one, kind);
  const Table second = tune(two, kind);
  for (std::int64_t tokens = 1; tokens <= 4096; tokens = tokens + 1 + tokens / 20) {
    INFO(tokens);
    const double a = model_time(tokens, auto_choice(kind, &first, tokens));
    const double b = model_time(tokens, auto_choice(kind, &second, tokens));
    CHECK(std::max(a, b) < 1.03 * std::min(a, b));
  }
}

TEST_CASE("a search takes a small part of the samples that all races of all would take", "[tune]") {
  const TuneCase kind = kind_of();
  ModelTrack track(3);
  const RaceResults races = search(track, kind, {}, [](std::int64_t, double) {});
  const auto all = static_cast<double>(token_grid(4096, kMultiprocessors).size() * all_candidates(kind).size() * 40);
  CHECK(track.calls < 0.25 * all);
  CHECK(track.seconds() < 20);
}

TEST_CASE("a search whose time is over still measures the whole grid", "[tune]") {
  const TuneCase kind = kind_of();
  SearchRules rules;
  rules.seconds = 0.001;
  ModelTrack hurried(3);
  const RaceResults races = search(hurried, kind, rules, [](std::int64_t, double) {});
  CHECK(races.size() == token_grid(4096, kMultiprocessors).size());
  ModelTrack free(3);
  search(free, kind, {}, [](std::int64_t, double) {});
  CHECK(hurried.calls < 0.8 * free.calls);
}

TEST_CASE("progress goes from nothing to all, and names what is measured", "[tune]") {
  ModelTrack track(5);
  double before = -1;
  int calls = 0;
  search(track, kind_of(), {}, [&](std::int64_t tokens, double done) {
    CHECK(tokens >= 1);
    CHECK(done >= 0);
    CHECK(done <= 1);
    if (calls < 20) CHECK(done > before);
    before = done;
    ++calls;
  });
  CHECK(calls >= 25);
  CHECK(before > 0.8);
}

TEST_CASE("fresh counts are new, distinct, spread, and as many as there can be", "[tune]") {
  const TuneCase kind = kind_of();
  const std::vector<TableBound> bounds = {{5, Strategy::kOneShot, {}, 1}, {TableBound::kNoLimit, {}, {}, 1}};
  const auto counts = fresh_counts(kind, bounds, 4096, 30);
  CHECK(counts.size() == 30);
  CHECK(std::adjacent_find(counts.begin(), counts.end(), std::greater_equal<>()) == counts.end());
  const auto grid = token_grid(4096, kMultiprocessors);
  for (const std::int64_t tokens : counts) {
    CHECK(std::find(grid.begin(), grid.end(), tokens) == grid.end());
    CHECK(tokens != 5);
  }
  CHECK(counts.front() < 10);
  CHECK(counts.back() > 3000);
  CHECK(fresh_counts(kind, bounds, 4, 30).empty());  // 1, 2, 3 and 4 are the grid's
  CHECK(fresh_counts(kind, bounds, 10, 30) == std::vector<std::int64_t>{7, 9});
}

TEST_CASE("regret is against the best of all, for each policy", "[tune]") {
  const TuneCase kind = kind_of();
  ModelTrack track(9, 0.001);
  const Table good = tune(track, kind);
  const std::vector<std::int64_t> counts = {5, 90, 700, 3500};
  const auto measured = [&](const Table& table) {
    return measure_regret(track, kind, policies_of(kind, table), counts, {}, [](std::int64_t, double) {});
  };
  const auto regrets = measured(good);
  REQUIRE(regrets.size() == 4);
  for (const Regret& regret : regrets) {
    REQUIRE(regret.of_policies.size() == 3);
    for (std::size_t policy = 0; policy < 3; ++policy) {
      const double truth = true_regret(kind, regret.tokens, regret.of_policies[policy].candidate);
      CHECK(std::abs(regret.of(policy) - truth) < 0.005);
    }
  }
  CHECK(worst_regret(regrets, 0) < kMostRegret);
  CHECK(worst_regret(regrets, 2) > 0.2);  // one-shot, where two-shot sends less

  // A table that is wrong is found out; one that the GPU has no room for, too.
  const std::vector<TableBound> wrong = {{TableBound::kNoLimit, Strategy::kTwoShot, {8, 4, 1}, 1}};
  const Table bad =
      Table::parse(to_json(TableParts{{"GPU", "1", "1", "d", "2026-11-26", "test"}, {{kind.key, wrong}}}), "bad.json");
  CHECK(worst_regret(measured(bad), 0) > kMostRegret);
  track.no_room = {8, 4, 1};
  CHECK(std::isinf(worst_regret(measured(bad), 0)));
}
