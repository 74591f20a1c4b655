// Regret: where it is measured, and what it says of a table.
#include "catch.h"
#include "tools/tune_regret.h"
#include "tune_model.h"

using namespace allnorm;
using namespace allnorm::tools;
using namespace allnorm::testing;

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

TEST_CASE("a check is at powers of two, on both sides of each bound, and between", "[tune]") {
  const std::vector<TableBound> bounds = {
      {5, Strategy::kOneShot, {}, 1}, {99, Strategy::kTwoShot, {}, 1}, {TableBound::kNoLimit, {}, {}, 1}};
  const auto counts = check_counts(bounds, 4096, 10);
  for (int power = 1; power <= 4096; power *= 2) CHECK(std::find(counts.begin(), counts.end(), power) != counts.end());
  for (const int side : {5, 6, 99, 100}) CHECK(std::find(counts.begin(), counts.end(), side) != counts.end());
  CHECK(counts.size() > 20);
  CHECK(counts.size() <= 13 + 4 + 10);
  CHECK(std::adjacent_find(counts.begin(), counts.end(), std::greater_equal<>()) == counts.end());
  // Of small tables too, and no further than the entry says anything.
  CHECK(check_counts(bounds, 4, 30) == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK(check_counts(bounds, 1, 1) == std::vector<std::int64_t>{1});
  CHECK(check_counts(std::span(bounds).first(1), 4096, 1) == std::vector<std::int64_t>{1, 2, 4, 5});
  CHECK(check_counts({}, 4096, 30).empty());
}

TEST_CASE("noise does not make a table that fits one that does not, and none that does not fits", "[tune]") {
  const auto fits_if = [](double slower, unsigned seed) {
    GivenTrack track({{kA, 3.0 * (1 + slower)}, {kB, 3.0}}, 0.04, seed);
    const std::vector<Policy> policies = {{"AUTO with the table", [](std::int64_t) { return kA; }}};
    std::vector<std::int64_t> counts;
    for (std::int64_t tokens = 1; tokens <= 40; ++tokens) counts.push_back(tokens);
    return fits(measure_regret(track, kind_of(), policies, counts, {}, [](std::int64_t, double) {}));
  };
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CHECK(fits_if(0.015, seed));
    CHECK_FALSE(fits_if(0.08, seed));
  }
}

TEST_CASE("nothing measured is nothing that fits", "[tune]") { CHECK_FALSE(fits({})); }
