// How long the fused call takes on two GPUs, in CUDA graphs, as the yardsticks measure it: microseconds per call, the
// median over replays, the slower rank counted. A benchmark: it prints, and judges nothing.
//
//   allnorm_latency                         AUTO, hidden 7168, bf16, FP8 out, with PDL
//   allnorm_latency --sweep                 every geometry and trigger, to see what AUTO should choose
//   torchrun --nproc-per-node 2 --no-python allnorm_latency      a process for each GPU
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <barrier>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "allnorm/bootstrap.h"
#include "allnorm/fused.h"
#include "comm/workspace_impl.h"
#include "device/cuda/cuda_device.h"
#include "dispatch/geometry.h"
#include "dispatch/names.h"

namespace {

using namespace allnorm;

constexpr int kCalls = 40;
constexpr std::int64_t kLargestCall = 4096;

struct Options {
  int hidden = 7168;
  std::string dtype = "bf16";
  std::string quant = "fp8";
  std::string layout = "swizzled_128x4";
  std::vector<std::int64_t> tokens = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
  int replays = 15;
  bool sweep = false;
  bool aligned = false;
  std::string only;
  std::string json;
};

/// One way to make the call.
struct Variant {
  Strategy strategy = Strategy::kAuto;
  bool pdl = true;
  PdlTrigger trigger = PdlTrigger::kEarly;
  std::optional<Geometry> geometry;

  std::string name() const {
    std::string text = to_string(strategy);
    if (geometry)
      text += fmt::format(" {}x{}x{}", geometry->ctas_per_row, geometry->warps_per_cta, geometry->chunks_per_warp);
    return text + (pdl ? (trigger == PdlTrigger::kEarly ? " early" : " late") : " no-pdl");
  }
};

struct Rank {
  std::unique_ptr<cuda::CudaDevice> device;
  CUstream stream = nullptr;
  std::vector<std::unique_ptr<DeviceMemory>> memory;
  FusedCall call;

  void* allocate(std::size_t bytes, std::uint32_t word) {
    memory.push_back(device->allocate(bytes));
    device->fill_words(memory.back()->data(), word, bytes);
    return memory.back()->data();
  }
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), driver_(cuda::Driver::load("")) {
    WorldOptions world = world_options(options);
    if (is_launched_rank()) {
      bootstrap_ = meet_on_host(launched_group());
      if (bootstrap_->world_size() != 2) throw Error(ErrorCode::kUnsupported, "two processes are needed, no more");
      first_rank_ = bootstrap_->rank();
      world.devices.clear();
      world_ = std::make_unique<World>(context_, *bootstrap_, first_rank_, world);
    } else {
      world_ = std::make_unique<World>(context_, world);
    }
    ranks_ = std::vector<Rank>(bootstrap_ ? 1 : 2);
    for (std::size_t r = 0; r < ranks_.size(); r++) {
      Rank& rank = ranks_[r];
      rank.device = std::make_unique<cuda::CudaDevice>(driver_, first_rank_ + static_cast<int>(r));
      const cuda::CurrentContext current(*driver_, rank.device->context());
      driver_->check(driver_->cuStreamCreate(&rank.stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
      make_call(rank);
    }
  }

  double median_microseconds(const Variant& variant, std::int64_t tokens, double& spread) {
    std::vector<CUgraphExec> graphs;
    for (std::size_t r = 0; r < ranks_.size(); r++) graphs.push_back(capture(r, variant, tokens));
    std::vector<double> micros;
    std::barrier threads(static_cast<std::ptrdiff_t>(ranks_.size()));
    const auto together = [&] {
      threads.arrive_and_wait();
      if (bootstrap_) bootstrap_->barrier();
    };
    std::array<float, 2> milliseconds{};
    const auto run = [&](std::size_t r) {
      const cuda::CurrentContext current(*driver_, ranks_[r].device->context());
      CUevent begin = nullptr;
      CUevent end = nullptr;
      driver_->check(driver_->cuEventCreate(&begin, CU_EVENT_DEFAULT), "cuEventCreate");
      driver_->check(driver_->cuEventCreate(&end, CU_EVENT_DEFAULT), "cuEventCreate");
      for (int k = 0; k < options_.replays + 3; k++) {
        driver_->check(driver_->cuStreamSynchronize(ranks_[r].stream), "cuStreamSynchronize");
        together();
        if (options_.aligned) driver_->check(driver_->cuGraphLaunch(graphs[r], ranks_[r].stream), "cuGraphLaunch");
        driver_->check(driver_->cuEventRecord(begin, ranks_[r].stream), "cuEventRecord");
        driver_->check(driver_->cuGraphLaunch(graphs[r], ranks_[r].stream), "cuGraphLaunch");
        driver_->check(driver_->cuEventRecord(end, ranks_[r].stream), "cuEventRecord");
        driver_->check(driver_->cuEventSynchronize(end), "cuEventSynchronize");
        driver_->check(driver_->cuEventElapsedTime(&milliseconds[r], begin, end), "cuEventElapsedTime");
        together();
        if (r == 0) {
          const double slower = slowest(std::max(milliseconds[0], milliseconds[1]));
          if (k >= 3) micros.push_back(slower * 1000.0 / kCalls);
        }
      }
      driver_->cuEventDestroy(begin);
      driver_->cuEventDestroy(end);
    };
    {
      std::jthread other;
      if (ranks_.size() > 1) other = std::jthread(run, 1);
      run(0);
    }
    for (CUgraphExec graph : graphs) driver_->cuGraphExecDestroy(graph);
    if (const WorkspaceStatus status = world_->own().status(); !status.healthy)
      throw Error(status.code, status.message);
    std::sort(micros.begin(), micros.end());
    spread = micros[micros.size() * 3 / 4] - micros[micros.size() / 4];
    return micros[micros.size() / 2];
  }

  bool speaks() const { return first_rank_ == 0; }

 private:
  /// Of all processes.
  double slowest(double milliseconds) {
    if (!bootstrap_) return milliseconds;
    double slowest = 0;
    for (const std::string& one : bootstrap_->all_gather(fmt::format("{}", milliseconds)))
      slowest = std::max(slowest, std::stod(one));
    return slowest;
  }

  static WorldOptions world_options(const Options& options) {
    WorldOptions world;
    world.devices = {0, 1};
    world.max_row_bytes = options.hidden * static_cast<int>(size_of(parse_data_type(options.dtype)));
    world.max_tokens_one_shot = world.max_tokens_two_shot = kLargestCall;
    world.timeout_seconds = 5.0;
    return world;
  }

  void make_call(Rank& rank) {
    const DataType dtype = parse_data_type(options_.dtype);
    const std::size_t bytes = static_cast<std::size_t>(kLargestCall * options_.hidden) * size_of(dtype);
    const std::uint32_t ones = dtype == DataType::kBF16  ? 0x3F8C3F91
                               : dtype == DataType::kF16 ? 0x3C1D3C2B
                                                         : 0x3F8C3F91;
    FusedCall& call = rank.call;
    call.input = {rank.allocate(bytes, ones), dtype, kLargestCall, options_.hidden};
    call.residual_in = {rank.allocate(bytes, ones), dtype, kLargestCall, options_.hidden};
    call.gamma = {rank.allocate(static_cast<std::size_t>(options_.hidden) * size_of(dtype), ones), dtype, 1,
                  options_.hidden};
    call.residual_out = {rank.allocate(bytes, 0), dtype, kLargestCall, options_.hidden};
    call.quant = parse_quant(options_.quant);
    call.layout = parse_layout(options_.layout);
    call.output_scale = 0.05f;
    call.epsilon = 1e-6f;
    if (call.quant == Quant::kNone) {
      call.output = {rank.allocate(bytes, 0), dtype, kLargestCall, options_.hidden};
      return;
    }
    call.quant_out = {rank.allocate(bytes, 0), DataType::kE4M3, kLargestCall, options_.hidden};
    if (call.quant == Quant::kNvfp4)
      call.quant_out = {call.quant_out.data, DataType::kU8, kLargestCall, options_.hidden / 2};
    if (call.quant != Quant::kFp8) call.scale_out.data = rank.allocate(bytes, 0);
  }

  static void set_tokens(FusedCall& call, std::int64_t tokens) {
    for (Tensor* tensor : {&call.input, &call.residual_in, &call.residual_out, &call.output, &call.quant_out})
      tensor->rows = tokens;
    const int hidden = static_cast<int>(call.input.columns);
    if (call.quant == Quant::kDynamicFp8) call.scale_out = {call.scale_out.data, DataType::kF32, tokens, 1};
    if (call.quant != Quant::kNvfp4) return;
    const bool linear = call.layout == ScaleLayout::kLinear;
    const auto bytes = static_cast<std::int64_t>(nvfp4_scale_bytes(tokens, hidden, call.layout));
    call.scale_out = {call.scale_out.data, DataType::kE4M3, linear ? tokens : 1, linear ? hidden / 16 : bytes};
  }

  CUgraphExec capture(std::size_t r, const Variant& variant, std::int64_t tokens) {
    Rank& rank = ranks_[r];
    Workspace& workspace = world_->rank(first_rank_ + static_cast<int>(r));
    const cuda::CurrentContext current(*driver_, rank.device->context());
    FusedCall call = rank.call;
    set_tokens(call, tokens);
    call.strategy = variant.strategy;
    call.launch_with_pdl = variant.pdl;
    call.pdl_trigger = variant.trigger;
    workspace.impl().force_geometry(variant.geometry);
    prepare(workspace, call);
    if (bootstrap_) bootstrap_->barrier();
    driver_->check(driver_->cuStreamBeginCapture(rank.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                   "cuStreamBeginCapture");
    for (int i = 0; i < kCalls; i++) {
      if (call.quant == Quant::kNone) {
        fused_allreduce_add_rmsnorm(workspace, call, rank.stream);
      } else {
        fused_allreduce_add_rmsnorm_quant(workspace, call, rank.stream);
      }
    }
    CUgraph graph = nullptr;
    CUgraphExec exec = nullptr;
    driver_->check(driver_->cuStreamEndCapture(rank.stream, &graph), "cuStreamEndCapture");
    driver_->check(driver_->cuGraphInstantiate(&exec, graph, 0), "cuGraphInstantiate");
    driver_->cuGraphDestroy(graph);
    return exec;
  }

  Options options_;
  std::shared_ptr<const cuda::Driver> driver_;
  Context context_;
  std::unique_ptr<Bootstrap> bootstrap_;  ///< Null: both ranks are in this process.
  int first_rank_ = 0;
  std::vector<Rank> ranks_;
  std::unique_ptr<World> world_;
};

std::vector<Variant> variants_of(const Options& options) {
  if (!options.sweep) return {{}};
  std::vector<Variant> variants;
  for (const Geometry& geometry : all_geometries(options.hidden, parse_data_type(options.dtype))) {
    if (geometry.chunks_per_warp > 4) continue;
    variants.push_back({Strategy::kOneShot, true, PdlTrigger::kEarly, geometry});
    variants.push_back({Strategy::kOneShot, true, PdlTrigger::kLate, geometry});
    variants.push_back({Strategy::kTwoShot, true, PdlTrigger::kEarly, geometry});
  }
  std::erase_if(variants, [&](const Variant& v) { return v.name().find(options.only) == std::string::npos; });
  return variants;
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): a failure to print may end it
  CLI::App app("Latency of the fused call on two GPUs, in CUDA graphs");
  Options options;
  app.add_option("--hidden", options.hidden)->capture_default_str();
  app.add_option("--dtype", options.dtype)->capture_default_str();
  app.add_option("--quant", options.quant)->capture_default_str();
  app.add_option("--layout", options.layout)->capture_default_str();
  app.add_option("--tokens", options.tokens)->delimiter(',');
  app.add_option("--replays", options.replays)->capture_default_str();
  app.add_flag("--sweep", options.sweep, "every geometry, trigger and strategy");
  app.add_flag("--aligned", options.aligned, "a graph before the timed one, so that the ranks begin that together");
  app.add_option("--only", options.only, "variants whose name contains this");
  app.add_option("--json", options.json, "append a JSON line per figure to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    Bench bench(options);
    std::ofstream json(options.json, std::ios::app);
    for (const std::int64_t tokens : options.tokens) {
      std::vector<std::pair<double, std::string>> results;
      for (const Variant& variant : variants_of(options)) {
        double spread = 0.0;
        double micros = 0.0;
        try {
          micros = bench.median_microseconds(variant, tokens, spread);
        } catch (const Error& error) {
          if (error.code() != ErrorCode::kUnsupported) throw;
          continue;  // a geometry that does not fit
        }
        results.emplace_back(micros, variant.name());
        if (!bench.speaks()) continue;
        json << nlohmann::json{{"tokens", tokens},          {"variant", variant.name()}, {"microseconds", micros},
                               {"quartile_spread", spread}, {"hidden", options.hidden},  {"dtype", options.dtype},
                               {"quant", options.quant}}
                    .dump()
             << "\n";
      }
      std::sort(results.begin(), results.end());
      if (!bench.speaks()) continue;
      fmt::print("tokens {:4}:", tokens);
      for (std::size_t i = 0; i < std::min<std::size_t>(results.size(), 6); i++)
        fmt::print("  {} {:.2f}", results[i].second, results[i].first);
      fmt::print("  us\n");
      std::fflush(stdout);
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "allnorm_latency: {}\n", error.what());
    return 1;
  }
}
