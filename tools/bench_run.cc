// What `allnorm bench` does on the GPUs: the floor, then the calls, a world for each shape of rows.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>

#include "allnorm/error.h"
#include "bench.h"
#include "bench_peers.h"
#include "bench_report.h"
#include "command.h"
#include "demo_place.h"
#include "env/env.h"
#include "gpu/session.h"
#include "measure.h"
#include "measure_floor.h"
#include "output_file.h"
#include "progress.h"

namespace allnorm::tools {
namespace {

[[noreturn]] void refuse_simulator(const std::string& reason) {
  throw Error(ErrorCode::kDriver,
              reason + "; times of simulated GPUs mean nothing, `allnorm simulate` runs calls there");
}

class Bench {
 public:
  Bench(const BenchOptions& options, std::vector<int> gpus, Bootstrap* bootstrap)
      : options_(options), gpus_(std::move(gpus)), bootstrap_(bootstrap) {
    place_.device = gpu_tests::Gpu::at(gpus_.front()).device().name();
    place_.world_size = bootstrap != nullptr ? bootstrap->world_size() : static_cast<int>(gpus_.size());
    place_.processes = bootstrap != nullptr;
    place_.virtual_ranks = gpus_.size() > 1 && gpus_[0] == gpus_[1];
  }

  void run() {
    if (speaks() && !options_.plot.empty()) write_output(options_.plot, "", "--plot");  // better now than in the end
    const std::vector<PeerFigure> peers =
        options_.peers.empty() ? std::vector<PeerFigure>{} : read_peers(options_.peers, "--peers");
    floor_ = measure_floor(gpus_, bootstrap_);
    if (options_.json) {
      say(to_json(place_, floor_));
    } else {
      say(describe(place_));
      say("floor: " + describe(floor_));
    }
    std::vector<Figure> all;
    for (const int hidden_dim : options_.hidden_dims) {
      for (const DataType dtype : options_.dtypes) {
        const std::vector<Figure> figures = measure_shape(hidden_dim, dtype);
        all.insert(all.end(), figures.begin(), figures.end());
        if (options_.json) continue;
        say(fmt::format("\nRows of {} {}, L2 {}:\n", hidden_dim, to_string(dtype), options_.cold_l2 ? "cold" : "warm"));
        say(to_table(figures, options_.sweep));
      }
    }
    const std::vector<Comparison> comparisons = compare(place_, all, peers);
    if (!options_.peers.empty()) say_peers(comparisons);
    if (speaks() && !options_.plot.empty()) write_output(options_.plot, to_chart(place_, all, comparisons), "--plot");
  }

 private:
  void say_peers(const std::vector<Comparison>& comparisons) const {
    if (comparisons.empty()) {
      if (speaks()) fmt::print(stderr, "{} has no figure of these calls on {}\n", options_.peers, describe(place_));
    } else if (options_.json) {
      for (const Comparison& one : comparisons) say(to_json(one));
    } else {
      say("\nBeside peers (ratio: how many times as long they take):\n");
      say(to_table(comparisons));
    }
  }

  std::vector<Figure> measure_shape(int hidden_dim, DataType dtype) {
    const std::vector<Variant> variants = bench_variants(options_, hidden_dim, dtype, place_.virtual_ranks);
    MeterOptions options;
    options.shape = {hidden_dim, dtype, variants.back().tokens};
    options.repetitions = options_.repetitions;
    options.cold_l2 = options_.cold_l2;
    options.aligned = options_.aligned;
    Meter meter(options, gpus_, bootstrap_);
    std::vector<Figure> figures;
    for (auto begin = variants.begin(); begin != variants.end();) {
      // So many graphs as a sweep has need not be there at once.
      const auto end = !options_.sweep ? variants.end() : std::find_if(begin, variants.end(), [&](const Variant& v) {
        return v.tokens != begin->tokens;
      });
      measure_batch(meter, hidden_dim, dtype, {begin, end}, figures);
      begin = end;
    }
    return figures;
  }

  void measure_batch(Meter& meter, int hidden_dim, DataType dtype, std::span<const Variant> variants,
                     std::vector<Figure>& figures) {
    const std::string rows =
        variants.front().tokens == variants.back().tokens
            ? fmt::format("{} tokens of {} {}", variants.front().tokens, hidden_dim, to_string(dtype))
            : fmt::format("rows of {} {}", hidden_dim, to_string(dtype));
    std::optional<Progress> progress;
    std::string shown;
    const auto measured = meter.measure(variants, [&](const char* what, std::size_t done, std::size_t total) {
      if (!speaks()) return;
      if (shown != what) progress.emplace(what, total);
      shown = what;
      progress->show(done, rows);
    });
    const std::int64_t row_bytes = hidden_dim * static_cast<std::int64_t>(size_of(dtype));
    for (std::size_t v = 0; v < variants.size(); ++v) {
      const std::optional<Measured>& one = measured[v];
      if (!one) continue;
      Figure figure{hidden_dim, dtype, variants[v], *one, {}};
      figure.floor_microseconds =
          floor_microseconds(floor_, figure.measured.strategy, place_.world_size, figure.variant.tokens, row_bytes);
      if (options_.json) say(to_json(place_, options_, figure));
      figures.push_back(figure);
    }
  }

  bool speaks() const { return bootstrap_ == nullptr || bootstrap_->rank() == 0; }
  void say(const std::string& text) const {
    if (!speaks()) return;
    fmt::print("{}{}", text, text.ends_with('\n') ? "" : "\n");
    std::fflush(stdout);
  }

  const BenchOptions& options_;
  std::vector<int> gpus_;
  Bootstrap* bootstrap_;
  BenchPlace place_;
  Floor floor_;
};

}  // namespace

int run_bench(const BenchOptions& options) {
  if (gpu_tests::Gpu::count() == 0) refuse_simulator(gpu_tests::Gpu::why_none());
  Bootstrap* const bootstrap = gpu_tests::launched_bootstrap();
  const Env env = Env::from_process();
  const DemoPlace place =
      bootstrap == nullptr ? choose_place(DemoDevice::kAuto, options.ranks, env)
                           : choose_place_of_rank(DemoDevice::kAuto, bootstrap->rank(), bootstrap->world_size(), env);
  if (place.is_simulated()) refuse_simulator(place.reason);
  try {
    Bench(options, place.gpus, bootstrap).run();
    return kExitOk;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kTimeout && error.code() != ErrorCode::kAborted) throw;
    fmt::print(stderr, "allnorm: {}\n", error.what());
    return kExitFailed;
  }
}

}  // namespace allnorm::tools
