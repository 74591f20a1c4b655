#include "tune_track.h"

#include <fmt/format.h>

#include <string_view>

#include "comm/vote.h"

namespace allnorm::tools {

MeterTrack::MeterTrack(Meter& meter, Quant quant, Bootstrap* bootstrap, std::function<void(const std::string&)> on_step)
    : meter_(meter), quant_(quant), bootstrap_(bootstrap), on_step_(std::move(on_step)) {}

void MeterTrack::prepare(std::span<const Candidate> candidates) {
  run(1, candidates, 0);
  begin_ = Clock::now();
}

std::vector<std::vector<double>> MeterTrack::run(std::int64_t tokens, std::span<const Candidate> candidates,
                                                 int samples) {
  std::vector<Variant> variants;
  for (const Candidate& candidate : candidates) {
    variants.push_back({.tokens = tokens, .quant = quant_, .strategy = candidate.strategy});
    variants.back().geometry = candidate.geometry;
  }
  // The untimed calls of each sample are warm-up enough: the GPUs were busy a moment ago.
  return meter_.samples(variants, 0, samples, [&](const char* what, std::size_t done, std::size_t total) {
    if (samples == 0 && std::string_view(what) == "preparing")
      on_step_(fmt::format("compiling, {} of {}", done, total));
  });
}

double MeterTrack::seconds() {
  const double own = std::chrono::duration<double>(Clock::now() - begin_).count();
  return bootstrap_ == nullptr ? own : std::stod(from_rank_0(bootstrap_, fmt::format("{}", own)));
}

std::string from_rank_0(Bootstrap* bootstrap, const std::string& own) {
  return bootstrap == nullptr ? own : allnorm::from_rank_0(*bootstrap, own);
}

}  // namespace allnorm::tools
