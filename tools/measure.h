// Meter: how long fused calls take on the GPUs of a world.
//
// Variants are measured in turns, so that what drifts (clocks, heat) hits all of them alike. A sample is 40 calls back
// to back, and of the ranks the slowest; the same calls run once before, untimed. With a Bootstrap all ranks make the
// same calls of a Meter; an error on one of them is thrown on all.
#ifndef ALLNORM_TOOLS_MEASURE_H_
#define ALLNORM_TOOLS_MEASURE_H_

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "allnorm/workspace.h"
#include "measured_rank.h"
#include "rank_meeting.h"
#include "variant.h"

namespace allnorm::tools {

struct MeterOptions {
  RowShape shape;
  int repetitions = 25;  ///< Samples of each variant.
  /// Write as many bytes as the L2 holds before each call. The time of as many such writes alone, measured just before,
  /// is taken off. The L2 is then full of dirty lines, and the calls' time includes that of writing them back.
  bool cold_l2 = false;
  /// Do not wait between the untimed calls and the timed ones: then the ranks begin the latter together, however far
  /// apart the launches are.
  bool aligned = false;
};

class Meter {
 public:
  static constexpr int kCallsOfSample = 40;

  /// `gpus`: of the ranks of this process. `bootstrap`: null where all ranks are here.
  Meter(const MeterOptions& options, const std::vector<int>& gpus, Bootstrap* bootstrap);

  /// "preparing" or "measuring", and how much of it is done. Called from any thread, one at a time.
  using OnProgress = std::function<void(const char* what, std::size_t done, std::size_t total)>;
  /// Nothing for a variant whose geometry the GPU has no room for.
  std::vector<std::optional<Measured>> measure(std::span<const Variant> variants, const OnProgress& on_progress);
  /// So many samples of each, after so many that do not count; the same on all ranks, whatever their process.
  std::vector<std::vector<double>> samples(std::span<const Variant> variants, int warm_ups, int repetitions,
                                           const OnProgress& on_progress);
  Transport transport() const;

 private:
  /// The calls of a sample, on one rank.
  class Job;
  /// Which variants every rank has room for.
  std::vector<bool> prepare(std::size_t rank, std::span<const Variant> variants, const OnProgress& on_progress);
  /// `writes`: null unless the L2 is to be cold.
  double sample(std::size_t rank, const Job& calls, const Job* writes);

  MeterOptions options_;
  std::unique_ptr<World> world_;
  std::vector<std::unique_ptr<MeasuredRank>> ranks_;
  RankMeeting meeting_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_MEASURE_H_
