#include "measure.h"

#include <array>

#include "allnorm/error.h"
#include "gpu/session.h"

namespace allnorm::tools {
namespace {

/// Rounds that are not counted: clocks rise.
constexpr int kWarmUps = 3;
/// How long a call waits for a peer. Far above any time to be measured, but nobody likes to wait for an error.
constexpr double kCallSeconds = 5;

WorldOptions world_options(const RowShape& shape) {
  WorldOptions world;
  world.max_row_bytes = static_cast<std::int64_t>(shape.hidden_dim) * static_cast<std::int64_t>(size_of(shape.dtype));
  world.max_tokens_one_shot = world.max_tokens_two_shot = shape.max_tokens;
  world.timeout_seconds = kCallSeconds;
  return world;
}

}  // namespace

class Meter::Job {
 public:
  Job(MeasuredRank& rank, CallMode mode, std::function<void()> enqueue) : enqueue_(std::move(enqueue)) {
    if (mode == CallMode::kEager) return;
    graph_ = std::make_unique<gpu_tests::GpuGraph>(rank.stream(), enqueue_);
    graph_->upload();
    rank.wait();
  }
  void run() const {
    if (graph_ != nullptr) {
      graph_->launch();
    } else {
      enqueue_();
    }
  }

 private:
  std::function<void()> enqueue_;
  std::unique_ptr<gpu_tests::GpuGraph> graph_;
};

Meter::Meter(const MeterOptions& options, const std::vector<int>& gpus, Bootstrap* bootstrap)
    : options_(options), meeting_(gpus.size(), bootstrap) {
  WorldOptions world = world_options(options.shape);
  if (bootstrap != nullptr) {
    world_ = std::make_unique<World>(gpu_tests::shared_context(), *bootstrap, gpus.front(), world);
  } else {
    world.devices = gpus;
    world_ = std::make_unique<World>(gpu_tests::shared_context(), world);
  }
  const int first_rank = bootstrap != nullptr ? bootstrap->rank() : 0;
  for (std::size_t r = 0; r < gpus.size(); ++r) {
    Workspace& workspace = world_->rank(first_rank + static_cast<int>(r));
    ranks_.push_back(std::make_unique<MeasuredRank>(gpus[r], workspace, options.shape, options.cold_l2));
  }
}

std::vector<bool> Meter::prepare(std::size_t rank, std::span<const Variant> variants, const OnProgress& on_progress) {
  const auto count = static_cast<double>(variants.size());
  if (meeting_.largest(rank, [&] { return count; }) != count) {
    throw Error(ErrorCode::kInvalidArgument, "the ranks were not given the same options");
  }
  std::vector<bool> fits;
  const auto tell = [&](std::size_t done) {
    if (rank == 0) on_progress("preparing", done, variants.size());
  };
  meeting_.together(rank, [&] { fits = ranks_[rank]->prepare(variants, tell); });
  for (auto&& one : fits) one = meeting_.largest(rank, [&] { return one ? 0.0 : 1.0; }) == 0.0;
  return fits;
}

double Meter::sample(std::size_t rank, const Job& calls, const Job* writes) {
  MeasuredRank& own = *ranks_[rank];
  double microseconds_of_writes = 0;
  if (writes != nullptr) {
    microseconds_of_writes = meeting_.largest(rank, [&] { return own.time([&] { writes->run(); }); });
  }
  if (!options_.aligned) {
    meeting_.together(rank, [&] {
      calls.run();
      own.wait();
    });
  }
  const double microseconds = meeting_.largest(rank, [&] {
    if (options_.aligned) calls.run();
    return own.time([&] { calls.run(); });
  });
  return (microseconds - microseconds_of_writes) / kCallsOfSample;
}

std::vector<std::vector<double>> Meter::samples(std::span<const Variant> variants, int warm_ups, int repetitions,
                                                const OnProgress& on_progress) {
  std::vector<std::vector<double>> samples(variants.size());
  meeting_.run([&](std::size_t r) {
    MeasuredRank& rank = *ranks_[r];
    const std::vector<bool> fits = prepare(r, variants, on_progress);
    std::array<std::unique_ptr<Job>, 2> writes;  // of each mode
    std::vector<std::unique_ptr<Job>> calls(variants.size());
    meeting_.together(r, [&] {
      for (const CallMode mode : {CallMode::kGraph, CallMode::kEager}) {
        if (!options_.cold_l2) continue;
        const auto enqueue = [&rank] { rank.enqueue_writes(kCallsOfSample); };
        writes[static_cast<std::size_t>(mode)] = std::make_unique<Job>(rank, mode, enqueue);
      }
      for (std::size_t v = 0; v < variants.size(); ++v) {
        if (!fits[v]) continue;
        const auto enqueue = [&rank, variant = variants[v]] { rank.enqueue(variant, kCallsOfSample); };
        calls[v] = std::make_unique<Job>(rank, variants[v].mode, enqueue);
      }
    });
    const int rounds = warm_ups + repetitions;
    for (int k = 0; k < rounds; ++k) {
      for (std::size_t v = 0; v < variants.size(); ++v) {
        if (!fits[v]) continue;
        const double microseconds = sample(r, *calls[v], writes[static_cast<std::size_t>(variants[v].mode)].get());
        if (r == 0 && k >= warm_ups) samples[v].push_back(microseconds);
      }
      if (r == 0) on_progress("measuring", static_cast<std::size_t>(k) + 1, static_cast<std::size_t>(rounds));
    }
    meeting_.together(r, [&] { rank.check_health(); });
  });
  return samples;
}

std::vector<std::optional<Measured>> Meter::measure(std::span<const Variant> variants, const OnProgress& on_progress) {
  std::vector<std::vector<double>> measured = samples(variants, kWarmUps, options_.repetitions, on_progress);
  std::vector<std::optional<Measured>> results(variants.size());
  for (std::size_t v = 0; v < variants.size(); ++v) {
    if (measured[v].empty()) continue;
    Measured one = ranks_.front()->chosen(variants[v]);
    one.microseconds = summarize(std::move(measured[v]));
    results[v] = one;
  }
  return results;
}

Transport Meter::transport() const { return ranks_.front()->transport(); }

}  // namespace allnorm::tools
