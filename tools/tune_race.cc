#include "tune_race.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "allnorm/error.h"

namespace allnorm::tools {
namespace {

bool is_before(const Standing& a, const Standing& b) {
  if (a.has_left != b.has_left) return b.has_left;
  if (a.time.median != b.time.median) return a.time.median < b.time.median;
  return a.candidate < b.candidate;
}

class Race {
 public:
  Race(RaceTrack& track, std::int64_t tokens, const RaceRules& rules) : track_(track), rules_(rules) {
    result_.tokens = tokens;
  }

  RaceResult run(std::span<const Candidate> candidates) {
    for (const Candidate& candidate : candidates) result_.standings.push_back({candidate, {}, {}, false});
    const double begin = track_.seconds();
    take_turns(rules_.first_samples);
    drop_without_samples();
    drop_far_behind();
    int samples = rules_.first_samples;
    bool is_first = true;
    while (samples < rules_.most_samples) {
      result_.is_cut_short = !is_first && track_.seconds() - begin > rules_.seconds;
      if (result_.is_cut_short) break;
      is_first = false;
      const int more = std::min(std::max(samples, 3), rules_.most_samples - samples);
      take_turns(more);
      samples += more;
      result_.is_clear = drop_slower() && samples >= rules_.fewest_samples;
      if (result_.is_clear) break;
    }
    return std::move(result_);
  }

 private:
  void take_turns(int samples) {
    std::vector<Candidate> running;
    std::vector<Standing*> standings;
    for (Standing& standing : result_.standings) {
      if (standing.has_left) continue;
      running.push_back(standing.candidate);
      standings.push_back(&standing);
    }
    const auto measured = track_.run(result_.tokens, running, samples);
    for (std::size_t i = 0; i < standings.size(); ++i) {
      Standing& standing = *standings[i];
      standing.samples.insert(standing.samples.end(), measured[i].begin(), measured[i].end());
      if (!standing.samples.empty()) standing.time = summarize(standing.samples);
    }
    std::sort(result_.standings.begin(), result_.standings.end(), is_before);
  }

  void drop_without_samples() {
    std::erase_if(result_.standings, [](const Standing& standing) { return standing.samples.empty(); });
    if (!result_.standings.empty()) return;
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} tokens: the GPU has room for none of the geometries", result_.tokens));
  }

  /// By the best samples: what disturbs a run only makes it slower.
  void drop_far_behind() {
    const auto best = [](const Standing& s) { return *std::min_element(s.samples.begin(), s.samples.end()); };
    double fastest = std::numeric_limits<double>::max();
    for (const Standing& standing : result_.standings) fastest = std::min(fastest, best(standing));
    for (Standing& standing : result_.standings) standing.has_left = best(standing) > fastest * (1 + rules_.far);
    std::sort(result_.standings.begin(), result_.standings.end(), is_before);
  }

  /// Whether those that stay are so close to the leader that more samples would not matter.
  bool drop_slower() {
    const Standing leader = result_.leader();
    const double tolerance = rules_.tolerance * leader.time.median;
    bool all_close = true;
    for (Standing& standing : result_.standings) {
      if (standing.has_left || standing.candidate == leader.candidate) continue;
      const double gap = standing.time.median - leader.time.median;
      const double error = error_between(standing, leader);
      standing.has_left = gap - error > tolerance;
      if (!standing.has_left && gap + error > 2 * tolerance) all_close = false;
    }
    std::sort(result_.standings.begin(), result_.standings.end(), is_before);
    return all_close;
  }

  RaceTrack& track_;
  RaceRules rules_;
  RaceResult result_;
};

}  // namespace

double Standing::error() const { return time.quartile_spread / std::sqrt(static_cast<double>(samples.size())); }

double error_between(const Standing& a, const Standing& b) {
  // Of few samples, the quartiles are no more certain than the median.
  const double samples = static_cast<double>(std::min(a.samples.size(), b.samples.size()));
  return (2 + 10 / samples) * std::hypot(a.error(), b.error());
}

const Standing* RaceResult::find(const Candidate& candidate) const {
  const auto found = std::find_if(standings.begin(), standings.end(),
                                  [&](const Standing& standing) { return standing.candidate == candidate; });
  return found == standings.end() ? nullptr : &*found;
}

double RaceResult::behind(const Candidate& candidate) const {
  const Standing* const standing = find(candidate);
  if (standing == nullptr) return std::numeric_limits<double>::infinity();
  return standing->time.median / leader().time.median - 1;
}

bool RaceResult::is_as_good(const Candidate& candidate, double tolerance) const {
  const Standing* const standing = find(candidate);
  if (standing == nullptr || standing->has_left) return false;
  const double noise = error_between(*standing, leader()) / leader().time.median;
  return behind(candidate) <= std::clamp(noise, tolerance, 2 * tolerance);
}

const Standing* RaceResult::best_of(Strategy strategy) const {
  const auto found = std::find_if(standings.begin(), standings.end(),
                                  [&](const Standing& standing) { return standing.candidate.strategy == strategy; });
  return found == standings.end() ? nullptr : &*found;
}

RaceResult race(RaceTrack& track, std::int64_t tokens, std::span<const Candidate> candidates, const RaceRules& rules) {
  return Race(track, tokens, rules).run(candidates);
}

}  // namespace allnorm::tools
