// Race: which of several ways to run a call is the fastest at a token count, found with few measurements.
//
// All run in turns. After a few turns, whoever is far behind leaves; the others run on, each time as often as before,
// until each is clearly slower than the leader (and leaves) or so close that it does not matter. What is measured
// decides, and nothing else: ranks that see the same samples and the same clock decide alike.
#ifndef ALLNORM_TOOLS_TUNE_RACE_H_
#define ALLNORM_TOOLS_TUNE_RACE_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dispatch/spec.h"
#include "summary.h"

namespace allnorm::tools {

struct Candidate {
  Strategy strategy = Strategy::kOneShot;
  Geometry geometry;
  auto operator<=>(const Candidate&) const = default;
};

/// What measures: GPUs, or in tests a model of them.
class RaceTrack {
 public:
  virtual ~RaceTrack() = default;
  /// So many samples of each, in turns, in microseconds; none of a candidate that the GPU has no room for.
  virtual std::vector<std::vector<double>> run(std::int64_t tokens, std::span<const Candidate> candidates,
                                               int samples) = 0;
  /// On a clock that all ranks share: what it says decides how long a race may take.
  virtual double seconds() = 0;
};

struct RaceRules {
  double tolerance = 0.01;  ///< Of the leader's time: who is no further behind is as good.
  double far = 0.4;         ///< Whose best sample is so much slower than the leader's leaves after the first turns.
  int first_samples = 2;
  int fewest_samples = 10;  ///< Of whoever is not clearly slower.
  int most_samples = 40;
  double seconds = 1e9;  ///< When they are over, no further turns; the first two rounds always are.
};

struct Standing {
  Candidate candidate;
  std::vector<double> samples;
  Summary time;
  bool has_left = false;

  /// Of the median.
  double error() const;
};

struct RaceResult {
  std::int64_t tokens = 0;
  std::vector<Standing> standings;  ///< The fastest first, those that left behind all others. Never empty.
  bool is_clear = false;            ///< It did not end for want of samples or time.
  bool is_cut_short = false;        ///< It ended for want of time.

  const Standing& leader() const { return standings.front(); }
  /// Null if it did not take part.
  const Standing* find(const Candidate& candidate) const;
  /// 0.02: 2 % slower than the leader. Infinite for one that did not take part.
  double behind(const Candidate& candidate) const;
  /// Whether it may be taken for the leader: it is behind by no more than the tolerance, or than noise, up to twice
  /// that.
  bool is_as_good(const Candidate& candidate, double tolerance) const;
  const Standing* best_of(Strategy strategy) const;
};

/// How far two medians may be apart by accident.
double error_between(const Standing& a, const Standing& b);

/// Throws kUnsupported if none of the candidates fits.
RaceResult race(RaceTrack& track, std::int64_t tokens, std::span<const Candidate> candidates, const RaceRules& rules);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_RACE_H_
