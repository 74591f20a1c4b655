// MeterTrack: races on the GPUs of a world. Calls are in CUDA graphs, with PDL and its early trigger.
#ifndef ALLNORM_TOOLS_TUNE_TRACK_H_
#define ALLNORM_TOOLS_TUNE_TRACK_H_

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "measure.h"
#include "tune_race.h"

namespace allnorm::tools {

class MeterTrack final : public RaceTrack {
 public:
  /// `on_step`: "compiling 3 of 28", now and then, from any thread, one at a time. `bootstrap`: null where all ranks
  /// are here. Both outlive it, as `meter` does.
  MeterTrack(Meter& meter, Quant quant, Bootstrap* bootstrap, std::function<void(const std::string&)> on_step);

  /// Compiles and loads, so that no race has to wait for that, and starts the clock anew.
  void prepare(std::span<const Candidate> candidates);
  std::vector<std::vector<double>> run(std::int64_t tokens, std::span<const Candidate> candidates,
                                       int samples) override;
  /// Rank 0's, since this was made or prepared.
  double seconds() override;

 private:
  using Clock = std::chrono::steady_clock;
  Meter& meter_;
  Quant quant_;
  Bootstrap* bootstrap_;
  std::function<void(const std::string&)> on_step_;
  Clock::time_point begin_ = Clock::now();
};

/// What rank 0 says, on every rank. All ranks do this together.
std::string from_rank_0(Bootstrap* bootstrap, const std::string& own);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_TRACK_H_
