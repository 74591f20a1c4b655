// `allnorm demo`: every call with every strategy, timed, and every byte compared with the reference. GPUs and simulated
// ones differ in the timing alone. A process that a launcher has made a rank runs its own rank, and rank 0 speaks.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "allnorm/context.h"
#include "allnorm/error.h"
#include "allnorm/fused.h"
#include "api/context_impl.h"
#include "command.h"
#include "demo.h"
#include "demo_rank.h"
#include "demo_result.h"
#include "dispatch/names.h"
#include "gpu_timer.h"
#include "prebuilt.h"
#include "progress.h"
#include "text.h"

namespace allnorm::tools {
namespace {

constexpr int kWarmUps = 10;
constexpr int kTimedCalls = 50;
constexpr int kGraphLaunches = 20;
/// With the first one, more than the protocol has buffers.
constexpr int kSimulatedCalls = 3;

class Demo {
 public:
  /// `bootstrap` is null where all ranks are in this process.
  Demo(const DemoOptions& options, const DemoPlace& place, Bootstrap* bootstrap)
      : shape_(options.shape),
        place_(place),
        bootstrap_(bootstrap),
        context_({.device = place.device}),
        inputs_(make_inputs(options)) {
    context_.impl().compiler().add_prebuilt(prebuilt_kernels());
    WorldOptions world;
    world.max_row_bytes = shape_.hidden_dim * static_cast<std::int64_t>(size_of(shape_.dtype));
    world.max_tokens_one_shot = world.max_tokens_two_shot = shape_.tokens;
    if (shares_world()) {
      world_ = std::make_unique<World>(context_, *bootstrap, place.gpus.front(), world);
      first_rank_ = bootstrap->rank();
    } else {
      world.devices = place.gpus;
      world_ = std::make_unique<World>(context_, world);
    }
    std::vector<Stream> handles;
    for (std::size_t r = 0; r < place.gpus.size(); ++r) {
      const int gpu = place.gpus[r];
      ranks_.emplace_back(context_, gpu, options, inputs_, first_rank_ + static_cast<int>(r));
      streams_.emplace_back(context_, gpu);
      handles.push_back(streams_.back().get());
    }
    if (!place.is_simulated()) timer_ = std::make_unique<GpuTimer>(place.driver, place.gpus, handles);
  }

  /// "2 x NVIDIA H100 80GB HBM3 (GPUs 0 to 1), a rank on each".
  std::string runs_on() {
    const std::vector<int>& gpus = place_.gpus;
    if (place_.is_simulated()) {
      const int count = context_.device_count();
      const std::string where =
          bootstrap_ == nullptr ? ""
                                : fmt::format(" in each of {} processes, which compare what they find", shape_.ranks);
      return fmt::format("the simulator: {} simulated GPU{}{}, because {}", count, count == 1 ? "" : "s", where,
                         place_.reason);
    }
    const std::string& name = context_.impl().device(gpus[0]).name();
    if (shares_world()) return fmt::format("{} x {}, a process with a rank on each", shape_.ranks, name);
    if (shape_.ranks == 1) return fmt::format("{} (GPU {}), one rank", name, gpus[0]);
    if (gpus[0] == gpus[1]) {
      return fmt::format("{} (GPU {}), {} virtual ranks, which share it", name, gpus[0], shape_.ranks);
    }
    return fmt::format("{} x {} (GPUs {} to {}), a rank on each", shape_.ranks, name, gpus.front(), gpus.back());
  }

  std::vector<Result> run() {
    const std::vector<Strategy> strategies = demo_strategies(shape_.ranks);
    std::vector<Result> results;
    Progress progress("running", speaks() ? strategies.size() * kQuants.size() : 0);
    for (const Quant quant : kQuants) {
      const reference::Outputs expected = expect(shape_, inputs_, quant);
      for (const Strategy strategy : strategies) {
        if (speaks()) progress.step(fmt::format("{} {}", to_string(quant), to_string(strategy)));
        Result own = run_one(quant, strategy, expected);
        results.push_back(bootstrap_ == nullptr ? std::move(own) : merge(*bootstrap_, own));
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
    for (std::size_t r = 0; r < ranks_.size(); ++r) prepare(workspace(r), calls[r]);
    if (shares_world()) bootstrap_->barrier();
    const auto enqueue = [&](int rank) {
      const auto r = static_cast<std::size_t>(rank);
      const FusedCall& call = calls[r];
      if (quant == Quant::kNone) {
        fused_allreduce_add_rmsnorm(workspace(r), call, streams_[r].get());
      } else {
        fused_allreduce_add_rmsnorm_quant(workspace(r), call, streams_[r].get());
      }
    };

    const auto begin = std::chrono::steady_clock::now();
    Result result{quant, strategy, 0, 0, 0, 0, {}};
    run_calls(1, enqueue);
    verify(expected, "first call", result);
    for (RankBuffers& rank : ranks_) rank.poison();
    if (timer_) {
      timer_->time_calls(kWarmUps, enqueue);
      result.microseconds = timer_->time_calls(kTimedCalls, enqueue);
      result.graph_microseconds = timer_->time_graph(kTimedCalls, kGraphLaunches, enqueue);
      check_health();
    } else {
      run_calls(kSimulatedCalls, enqueue);
    }
    // Again, after the protocol went round its buffers.
    if (result.differences.empty()) verify(expected, "last call", result);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

  void run_calls(int calls, const GpuTimer::Enqueue& enqueue) {
    for (int call = 0; call < calls; ++call) {
      for (std::size_t r = 0; r < ranks_.size(); ++r) enqueue(static_cast<int>(r));
    }
    for (OwnedStream& stream : streams_) stream.synchronize();
    check_health();
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
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      const WorkspaceStatus status = workspace(r).status();
      if (!status.healthy) throw Error(status.code, status.message);
    }
  }

  /// Whether the other ranks are other processes; on the simulator each process has a World of its own.
  bool shares_world() const { return bootstrap_ != nullptr && !place_.is_simulated(); }
  bool speaks() const { return bootstrap_ == nullptr || bootstrap_->rank() == 0; }
  Workspace& workspace(std::size_t r) { return world_->rank(first_rank_ + static_cast<int>(r)); }

  DemoShape shape_;
  DemoPlace place_;
  Bootstrap* bootstrap_;
  int first_rank_ = 0;  ///< Of those that are here.
  Context context_;
  Inputs inputs_;
  std::unique_ptr<World> world_;
  std::vector<RankBuffers> ranks_;
  std::vector<OwnedStream> streams_;
  std::unique_ptr<GpuTimer> timer_;  ///< Null on the simulator.
};

std::string to_text(const std::vector<Result>& results, const DemoOptions& options, bool is_simulated) {
  std::vector<TextTable::Column> columns = {{}, {}, {'r'}, {'r'}, {}};
  std::vector<std::string> header = {"quant", "strategy", "tokens", "simulated in", "verified"};
  if (!is_simulated) {
    columns.insert(columns.begin() + 3, TextTable::Column{'r'});
    header = {"quant", "strategy", "tokens", "us a call", "in a graph", "verified"};
  }
  TextTable table(columns);
  table.add(header);
  for (const Result& r : results) {
    std::vector<std::string> cells = {to_string(r.quant), to_string(r.strategy),
                                      fmt::format("{}", options.shape.tokens)};
    if (is_simulated) {
      cells.push_back(fmt::format("{:.2f} s", r.seconds));
    } else {
      cells.push_back(fmt::format("{:.1f}", r.microseconds));
      cells.push_back(fmt::format("{:.1f}", r.graph_microseconds));
    }
    cells.emplace_back(r.differences.empty() ? "yes" : "NO");
    table.add(cells);
  }
  return table.to_string();
}

nlohmann::ordered_json to_json(const std::vector<Result>& results, bool is_simulated) {
  nlohmann::ordered_json calls = nlohmann::ordered_json::array();
  for (const Result& r : results) {
    nlohmann::ordered_json call = {{"quant", to_string(r.quant)}, {"strategy", to_string(r.strategy)}};
    if (is_simulated) {
      call["simulated_seconds"] = r.seconds;
    } else {
      call["microseconds"] = r.microseconds;
      call["graph_microseconds"] = r.graph_microseconds;
    }
    call["outputs"] = r.outputs;
    call["verified"] = r.differences.empty();
    call["differences"] = r.differences;
    calls.push_back(call);
  }
  return calls;
}

}  // namespace

int run_demo(const DemoOptions& options, const DemoPlace& place, Bootstrap* bootstrap) {
  const DemoShape& shape = options.shape;
  Demo demo(options, place, bootstrap);
  const std::string runs_on = demo.runs_on();
  if (bootstrap != nullptr && bootstrap->rank() != 0) {
    for (const Result& r : demo.run()) {
      if (!r.differences.empty()) return kExitFailed;  // Rank 0 says which.
    }
    return kExitOk;
  }
  if (!options.json && place.is_simulated()) {
    fmt::print("Runs on {}.\nRows of {} {}; the kernels are those of GPUs, the times are not.\n\n", runs_on,
               shape.hidden_dim, to_string(shape.dtype));
  } else if (!options.json) {
    fmt::print("Runs on {}; rows of {} {}.\n\n", runs_on, shape.hidden_dim, to_string(shape.dtype));
  }
  std::fflush(stdout);
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
                                         {"device", place.is_simulated() ? "sim" : "cuda"},
                                         {"runs_on", runs_on},
                                         {"ranks", shape.ranks},
                                         {"gpus", place.gpus},
                                         {"tokens", shape.tokens},
                                         {"hidden_dim", shape.hidden_dim},
                                         {"seed", options.seed},
                                         {"dtype", to_string(shape.dtype)},
                                         {"outcome", outcome},
                                         {"calls", to_json(results, place.is_simulated())}};
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}\n{}\n", to_text(results, options, place.is_simulated()), outcome);
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
