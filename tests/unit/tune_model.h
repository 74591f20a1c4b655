// Times for races without a GPU: from a model of one, with noise, drift and disturbances; or as they are given.
#ifndef ALLNORM_TESTS_UNIT_TUNE_MODEL_H_
#define ALLNORM_TESTS_UNIT_TUNE_MODEL_H_

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "tools/tune_search.h"
#include "tools/tune_table.h"

namespace allnorm::testing {

using namespace allnorm::tools;

inline constexpr int kMultiprocessors = 132;

inline TuneCase kind_of(int world_size = 2) {
  TuneCase kind;
  kind.key.world_size = world_size;
  kind.key.quant = Quant::kFp8;
  kind.key.hidden_dim = 7168;
  kind.multiprocessors = kMultiprocessors;
  return kind;
}

/// How many rows the GPU works on at once: what threads and registers leave room for. More chunks a warp are fewer
/// threads, of more registers, so that the geometries' turns end at different token counts.
inline std::int64_t rows_in_flight(const Geometry& g) {
  const int threads = 32 * g.warps_per_cta;
  const int registers = 36 + 16 * g.chunks_per_warp;
  const int ctas = std::min(2048 / threads, 65536 / (threads * registers));
  return std::max<std::int64_t>(1, std::int64_t{kMultiprocessors} * ctas / g.ctas_per_row);
}

/// Times that look like those of GPUs: one-shot has a hop less and sends more; a geometry has a turn for as many rows
/// as are in flight, a row takes longer with fewer warps, and wide clusters cost a barrier.
inline double model_time(std::int64_t tokens, const Candidate& candidate) {
  const Geometry& g = candidate.geometry;
  const std::int64_t at_once = rows_in_flight(g);
  const std::int64_t turns = (tokens + at_once - 1) / at_once;
  const bool one_shot = candidate.strategy == Strategy::kOneShot;
  const double hops = one_shot ? 0.7 : 1.5;
  const double bytes = static_cast<double>(tokens) * (one_shot ? 0.060 : 0.038);
  const double row = (0.3 + 0.45 * g.chunks_per_warp) / g.ctas_per_row + 0.12 * g.ctas_per_row;
  return 1.8 + hops + bytes + row * static_cast<double>(turns);
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

inline double best_time(const TuneCase& kind, std::int64_t tokens) {
  double best = 1e9;
  for (const Candidate& candidate : all_candidates(kind)) best = std::min(best, model_time(tokens, candidate));
  return best;
}

inline double true_regret(const TuneCase& kind, std::int64_t tokens, const Candidate& candidate) {
  return model_time(tokens, candidate) / best_time(kind, tokens) - 1;
}

/// The table that `allnorm tune` would make.
inline Table tune(RaceTrack& track, const TuneCase& kind, const SearchRules& rules = {}) {
  const auto bounds = fewest_bounds(search(track, kind, rules, [](std::int64_t, double) {}), rules.race.tolerance);
  return Table::parse(to_json(TableParts{{"GPU", "1", "1", "d", "2026-11-26", "test"}, {{kind.key, bounds}}}),
                      "t.json");
}

inline const Candidate kA = {Strategy::kOneShot, {1, 28, 1}};
inline const Candidate kB = {Strategy::kOneShot, {4, 7, 1}};
inline const Candidate kC = {Strategy::kTwoShot, {1, 28, 1}};

/// Times that are given.
class GivenTrack final : public RaceTrack {
 public:
  explicit GivenTrack(std::vector<std::pair<Candidate, double>> times, double noise = 0, unsigned seed = 7)
      : times_(std::move(times)), noise_(noise), random_(seed) {}
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
  std::mt19937 random_;
  std::normal_distribution<double> normal_;
};

inline RaceResult result_of(std::int64_t tokens, const std::vector<std::pair<Candidate, double>>& times) {
  RaceResult result;
  result.tokens = tokens;
  for (const auto& [candidate, time] : times) result.standings.push_back({candidate, {time, time}, {time, 0}, false});
  std::sort(result.standings.begin(), result.standings.end(),
            [](const Standing& a, const Standing& b) { return a.time.median < b.time.median; });
  return result;
}

inline RaceResults results_of(const std::vector<RaceResult>& list) {
  RaceResults results;
  for (const RaceResult& result : list) results.emplace(result.tokens, result);
  return results;
}

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_UNIT_TUNE_MODEL_H_
