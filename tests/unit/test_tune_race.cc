// The race of `allnorm tune`, over times that are given or that a model gives.
#include "catch.h"
#include "error_of.h"
#include "tune_model.h"

using namespace allnorm;
using namespace allnorm::tools;
using namespace allnorm::testing;

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
  CHECK_FALSE(all.is_cut_short);
  CHECK(all.leader().samples.size() == 40);
  CHECK(all.is_as_good(kA, 0.01) + all.is_as_good(kB, 0.01) >= 1);

  track.count = 0;
  RaceRules hurried;
  hurried.seconds = 1;  // each sample takes one
  const RaceResult early = race(track, 1, std::vector{kA, kB}, hurried);
  CHECK_FALSE(early.is_clear);
  CHECK(early.is_cut_short);
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
