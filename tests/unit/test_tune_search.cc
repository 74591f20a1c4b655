// The search of `allnorm tune`: its token counts, the bounds that come of races, and places where the choice changes.
#include "catch.h"
#include "tools/tune_regret.h"
#include "tune_model.h"

using namespace allnorm;
using namespace allnorm::tools;
using namespace allnorm::testing;

TEST_CASE("the grid has the powers of two, what is between, and the ends of turns", "[tune]") {
  const std::vector<std::int64_t> grid = token_grid(4096, kMultiprocessors);
  CHECK(grid.front() == 1);
  CHECK(grid.back() == 4096);
  CHECK(std::is_sorted(grid.begin(), grid.end()));
  CHECK(std::adjacent_find(grid.begin(), grid.end()) == grid.end());
  for (const int tokens :
       {2, 3, 4, 6, 16, 33, 64, 66, 99, 132, 165, 198, 231, 256, 264, 297, 330, 396, 528, 1024, 3072}) {
    INFO(tokens);
    CHECK(std::find(grid.begin(), grid.end(), tokens) != grid.end());
  }
  for (const int tokens : {32, 128, 512}) {
    INFO(tokens);
    CHECK(std::find(grid.begin(), grid.end(), tokens) == grid.end());  // 33, 132 and 528 are beside them
  }
  CHECK(grid.size() <= 30);
  for (const int multiprocessors : {16, 48, 78, 114, 148, 188}) {
    const std::vector<std::int64_t> other = token_grid(4096, multiprocessors);
    CHECK(other.size() <= 35);
    for (std::size_t i = 1; i < other.size(); ++i) {
      INFO(multiprocessors << ": " << other[i]);
      const bool is_free = other[i - 1] < 16 || is_anchor(other[i - 1], 4096) || is_anchor(other[i], 4096);
      CHECK((is_free || static_cast<double>(other[i]) >= 1.1 * static_cast<double>(other[i - 1])));
    }
  }
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
  CHECK(bounds[2].max_tokens == 8);
  CHECK(bounds[2].strategy == Strategy::kTwoShot);
  CHECK(bounds[2].microseconds == 4.0F);
  // C is not quite the best at 4, but it is what comes next anyway.
  const auto fewer = bounds_if(3.11);
  REQUIRE(fewer.size() == 2);
  CHECK(fewer[1].strategy == Strategy::kTwoShot);
}

TEST_CASE("only a search that went to 4096 tokens speaks for all larger calls", "[tune]") {
  for (const std::int64_t most : {std::int64_t{1}, std::int64_t{64}, std::int64_t{4095}}) {
    const auto bounds = fewest_bounds(results_of({result_of(most, {{kA, 3.0}})}), 0.01);
    REQUIRE(bounds.size() == 1);
    CHECK(bounds[0].max_tokens == most);
  }
  for (const std::int64_t most : {std::int64_t{4096}, std::int64_t{65536}}) {
    CHECK(fewest_bounds(results_of({result_of(most, {{kA, 3.0}})}), 0.01)[0].max_tokens == TableBound::kNoLimit);
  }
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

/// One candidate is the best up to a count within a gap of the grid, and from there on slower than the next one.
class StepTrack final : public RaceTrack {
 public:
  explicit StepTrack(double loss) : loss_(loss) {}
  std::vector<std::vector<double>> run(std::int64_t tokens, std::span<const Candidate> candidates,
                                       int samples) override {
    std::vector<std::vector<double>> all;
    for (const Candidate& candidate : candidates) {
      const double time = candidate == kA   ? (tokens <= kLast ? 1.0 : 1.0 + 2 * loss_)
                          : candidate == kB ? 1.0 + loss_
                                            : 2;
      all.emplace_back(samples, time * static_cast<double>(tokens));
    }
    return all;
  }
  double seconds() override { return 0; }

  static constexpr std::int64_t kLast = 143;

 private:
  double loss_;
};

TEST_CASE("where the choice changes is known to the token if the wrong one costs more than 3 %", "[tune]") {
  for (const auto& [loss, is_exact] : {std::pair{0.05, true}, std::pair{0.025, false}}) {
    StepTrack track(loss);
    const Table table = tune(track, kind_of());
    const auto bounds = table.lookup(kind_of().key);
    REQUIRE(bounds.size() == 2);
    INFO(loss);
    CHECK((bounds[0].max_tokens == StepTrack::kLast) == is_exact);
    CHECK(bounds[0].max_tokens <= StepTrack::kLast);
    CHECK(bounds[0].max_tokens > StepTrack::kLast - 9);
  }
}

TEST_CASE("where the rows just fill the multiprocessors, no two neighbours are far apart", "[tune]") {
  ModelTrack track(4);
  const RaceResults races = search(track, kind_of(), {}, [](std::int64_t, double) {});
  for (auto at = races.begin(); std::next(at) != races.end(); ++at) {
    const auto low = static_cast<double>(at->first);
    const auto high = static_cast<double>(std::next(at)->first);
    if (low < kMultiprocessors / 2 || high > 4 * kMultiprocessors) continue;
    INFO(low << " to " << high);
    CHECK(high <= 1.13 * low);
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
  const RaceResults all = search(free, kind, {}, [](std::int64_t, double) {});
  CHECK(hurried.calls < 0.8 * free.calls);
  CHECK(count_unclear(races).cut_short > races.size() / 2);
  CHECK(count_unclear(races).races >= count_unclear(races).cut_short);
  CHECK(count_unclear(all).cut_short == 0);
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
