// `allnorm demo` on GPUs: every call with every strategy, timed, and every byte compared with the reference.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "allnorm/context.h"
#include "allnorm/error.h"
#include "allnorm/fused.h"
#include "command.h"
#include "demo.h"
#include "demo_rank.h"
#include "dispatch/names.h"
#include "gpu_session.h"
#include "progress.h"
#include "text.h"

namespace allnorm::tools {
namespace {

constexpr int kWarmUps = 10;
constexpr int kTimedCalls = 50;
constexpr int kGraphLaunches = 20;

struct Result {
  Quant quant;
  Strategy strategy;
  double microseconds = 0;
  double graph_microseconds = 0;
  int outputs = 0;
  std::vector<std::string> differences;
};

class Demo {
 public:
  Demo(const DemoOptions& options, std::shared_ptr<const cuda::Driver> driver, const std::vector<int>& gpus)
      : options_(options), gpus_(gpus), session_(std::move(driver), gpus), inputs_(make_inputs(options)) {
    WorldOptions world;
    world.devices = gpus;
    world.max_row_bytes = options.hidden_dim * static_cast<std::int64_t>(size_of(options.dtype));
    world.max_tokens_one_shot = world.max_tokens_two_shot = options.tokens;
    world_ = std::make_unique<World>(context_, world);
    for (int r = 0; r < session_.ranks(); ++r) ranks_.emplace_back(session_.device(r), options, inputs_, r);
  }

  /// "2 x NVIDIA H100 80GB HBM3 (GPUs 0, 1), a rank on each".
  std::string runs_on() {
    const std::string& name = session_.device(0).name();
    if (options_.ranks == 1) return fmt::format("{} (GPU {}), one rank", name, gpus_[0]);
    if (gpus_[0] == gpus_[1]) {
      return fmt::format("{} (GPU {}), {} virtual ranks, which share it", name, gpus_[0], options_.ranks);
    }
    return fmt::format("{} x {} (GPUs {} to {}), a rank on each", options_.ranks, name, gpus_.front(), gpus_.back());
  }

  std::vector<Result> run() {
    const std::vector<Strategy> strategies = demo_strategies(options_.ranks);
    std::vector<Result> results;
    Progress progress("running", strategies.size() * kQuants.size());
    for (const Quant quant : kQuants) {
      const reference::Outputs expected = expect(options_, inputs_, quant);
      for (const Strategy strategy : strategies) {
        progress.step(fmt::format("{} {}", to_string(quant), to_string(strategy)));
        results.push_back(run_one(quant, strategy, expected));
      }
    }
    return results;
  }

 private:
  Result run_one(Quant quant, Strategy strategy, const reference::Outputs& expected) {
    std::vector<FusedCall> calls;
    for (RankBuffers& rank : ranks_) {
      rank.poison();
      calls.push_back(rank.call(quant));
      calls.back().strategy = strategy;
    }
    // All of them before the first launch: a load may wait for a kernel that waits for a peer.
    for (int r = 0; r < session_.ranks(); ++r) prepare(world_->rank(r), calls[static_cast<std::size_t>(r)]);
    const auto enqueue = [&](int r) {
      const FusedCall& call = calls[static_cast<std::size_t>(r)];
      if (quant == Quant::kNone) {
        fused_allreduce_add_rmsnorm(world_->rank(r), call, session_.stream(r));
      } else {
        fused_allreduce_add_rmsnorm_quant(world_->rank(r), call, session_.stream(r));
      }
    };

    Result result{quant, strategy, 0, 0, 0, {}};
    session_.time_calls(1, enqueue);
    check_health();
    verify(expected, "first call", result);
    for (RankBuffers& rank : ranks_) rank.poison();
    session_.time_calls(kWarmUps, enqueue);
    result.microseconds = session_.time_calls(kTimedCalls, enqueue);
    result.graph_microseconds = session_.time_graph(kTimedCalls, kGraphLaunches, enqueue);
    check_health();
    // Again, after the protocol went round its buffers many times.
    if (result.differences.empty()) verify(expected, "last call", result);
    return result;
  }

  void verify(const reference::Outputs& expected, const char* when, Result& result) {
    result.outputs = 0;
    for (RankBuffers& rank : ranks_) {
      for (const std::string& difference : rank.compare(result.quant, expected, result.outputs)) {
        result.differences.push_back(
            fmt::format("{} {}, {}: {}", to_string(result.quant), to_string(result.strategy), when, difference));
      }
    }
  }

  void check_health() {
    for (int r = 0; r < session_.ranks(); ++r) {
      const WorkspaceStatus status = world_->rank(r).status();
      if (!status.healthy) throw Error(status.code, status.message);
    }
  }

  DemoOptions options_;
  std::vector<int> gpus_;
  Context context_;
  GpuSession session_;
  Inputs inputs_;
  std::unique_ptr<World> world_;
  std::vector<RankBuffers> ranks_;
};

std::string to_text(const std::vector<Result>& results, const DemoOptions& options) {
  TextTable table({{}, {}, {'r'}, {'r'}, {'r'}, {}});
  table.add({"quant", "strategy", "tokens", "us a call", "in a graph", "verified"});
  for (const Result& r : results) {
    table.add({to_string(r.quant), to_string(r.strategy), fmt::format("{}", options.tokens),
               fmt::format("{:.1f}", r.microseconds), fmt::format("{:.1f}", r.graph_microseconds),
               r.differences.empty() ? "yes" : "NO"});
  }
  return table.to_string();
}

nlohmann::ordered_json to_json(const std::vector<Result>& results) {
  nlohmann::ordered_json calls = nlohmann::ordered_json::array();
  for (const Result& r : results) {
    calls.push_back(nlohmann::ordered_json{{"quant", to_string(r.quant)},
                                           {"strategy", to_string(r.strategy)},
                                           {"microseconds", r.microseconds},
                                           {"graph_microseconds", r.graph_microseconds},
                                           {"outputs", r.outputs},
                                           {"verified", r.differences.empty()},
                                           {"differences", r.differences}});
  }
  return calls;
}

}  // namespace

int run_on_gpus(const DemoOptions& options, std::shared_ptr<const cuda::Driver> driver, const std::vector<int>& gpus) {
  Demo demo(options, std::move(driver), gpus);
  const std::string runs_on = demo.runs_on();
  if (!options.json) {
    fmt::print("Runs on {}; rows of {} {}.\n\n", runs_on, options.hidden_dim, to_string(options.dtype));
    std::fflush(stdout);
  }
  const std::vector<Result> results = demo.run();
  int outputs = 0;
  std::size_t different = 0;
  for (const Result& r : results) {
    outputs += r.outputs;
    different += r.differences.size();
  }
  const std::string outcome = different == 0
                                  ? fmt::format("all {} outputs verified to the bit", outputs)
                                  : fmt::format("{} of {} outputs differ from the reference", different, outputs);
  if (options.json) {
    const nlohmann::ordered_json json = {{"ran", true},
                                         {"runs_on", runs_on},
                                         {"ranks", options.ranks},
                                         {"gpus", gpus},
                                         {"tokens", options.tokens},
                                         {"hidden_dim", options.hidden_dim},
                                         {"seed", options.seed},
                                         {"dtype", to_string(options.dtype)},
                                         {"outcome", outcome},
                                         {"calls", to_json(results)}};
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}\n{}\n", to_text(results, options), outcome);
  }
  if (different == 0) return kExitOk;
  std::fflush(stdout);
  for (const Result& r : results) {
    for (const std::string& difference : r.differences) fmt::print(stderr, "allnorm: {}\n", difference);
  }
  fmt::print(stderr, "allnorm: this should not happen: please report it with the output of `allnorm doctor`\n");
  return kExitFailed;
}

}  // namespace allnorm::tools
