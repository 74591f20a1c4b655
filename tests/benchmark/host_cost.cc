// What a warm eager call costs the host, beside a bare cuLaunchKernelEx of the same kernel with the same parameters, on
// one GPU. A benchmark: it prints, and judges nothing.
//
//   allnorm_host_cost --json host_cost.jsonl
//
// A world of one rank with programmatic dependent launch, 16 tokens, hidden 7168, bf16, FP8 out. Both are measured in
// batches of calls, one batch after the other in turns; the GPU is synchronised between batches, outside of the time.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "allnorm/buffer.h"
#include "allnorm/error.h"
#include "allnorm/fused.h"
#include "comm/workspace_impl.h"
#include "device/cuda/cuda_device.h"
#include "jit/compiler.h"
#include "jit/specialize.h"

namespace {

using namespace allnorm;

constexpr std::int64_t kTokens = 16;
constexpr int kHidden = 7168;

/// The kernel, loaded by hand, and launched with nothing around it.
class BareLaunch {
 public:
  BareLaunch(const cuda::Driver& driver, const Spec& spec, void* params, CUstream stream) : driver_(driver) {
    KernelCompiler compiler(Env::from_process());
    const CompiledKernel kernel = compiler.compile(spec);
    driver_.check(driver_.cuModuleLoadData(&module_, kernel.binary.data()), "cuModuleLoadData");
    driver_.check(driver_.cuModuleGetFunction(&function_, module_, kernel.entry_name.c_str()), "cuModuleGetFunction");
    const LaunchShape shape = launch_shape(spec);
    config_.gridDimX = static_cast<unsigned>(kTokens) * shape.ctas_per_cluster;
    config_.gridDimY = config_.gridDimZ = 1;
    config_.blockDimX = shape.threads_per_cta;
    config_.blockDimY = config_.blockDimZ = 1;
    config_.hStream = stream;
    if (shape.ctas_per_cluster > 1) {
      CUlaunchAttribute& cluster = attributes_[config_.numAttrs++];
      cluster.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
      cluster.value.clusterDim.x = shape.ctas_per_cluster;
      cluster.value.clusterDim.y = cluster.value.clusterDim.z = 1;
    }
    CUlaunchAttribute& pdl = attributes_[config_.numAttrs++];
    pdl.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    pdl.value.programmaticStreamSerializationAllowed = 1;
    config_.attrs = attributes_;
    arguments_[0] = params;
  }

  void operator()() { driver_.check(driver_.cuLaunchKernelEx(&config_, function_, arguments_, nullptr), "launch"); }

 private:
  const cuda::Driver& driver_;
  CUmodule module_ = nullptr;
  CUfunction function_ = nullptr;
  CUlaunchAttribute attributes_[2] = {};
  CUlaunchConfig config_ = {};
  void* arguments_[1] = {};
};

struct Series {
  std::vector<double> nanoseconds;

  double quantile(double part) {
    std::sort(nanoseconds.begin(), nanoseconds.end());
    return nanoseconds[static_cast<std::size_t>(part * static_cast<double>(nanoseconds.size() - 1))];
  }
};

template <typename Call>
double nanoseconds_a_call(int calls, Call&& call) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; i++) call();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  return took.count() / calls;
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): a failure to print may end it
  CLI::App app("What a warm eager call costs the host");
  int batches = 400;
  int calls = 100;
  std::string json;
  app.add_option("--batches", batches)->capture_default_str();
  app.add_option("--calls", calls, "a batch")->capture_default_str();
  app.add_option("--json", json, "append a JSON line to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto driver = cuda::Driver::load("");
    Context context({.device = "cuda"});
    WorldOptions options;
    options.devices = {0};
    options.max_row_bytes = 2 * kHidden;
    options.max_tokens_one_shot = options.max_tokens_two_shot = kTokens;
    World world(context, options);
    Workspace& workspace = world.rank(0);

    constexpr std::size_t kBytes = std::size_t{2} * kHidden * kTokens;
    std::vector<std::unique_ptr<Buffer>> buffers;
    const auto tensor = [&](DataType dtype, std::int64_t rows) -> Tensor {
      buffers.push_back(std::make_unique<Buffer>(context, 0, kBytes));
      return {buffers.back()->data(), dtype, rows, kHidden};
    };
    FusedCall call;
    call.input = tensor(DataType::kBF16, kTokens);
    call.residual_in = tensor(DataType::kBF16, kTokens);
    call.gamma = tensor(DataType::kBF16, 1);
    call.residual_out = tensor(DataType::kBF16, kTokens);
    call.quant_out = tensor(DataType::kE4M3, kTokens);
    call.quant = Quant::kFp8;
    call.output_scale = 0.05f;
    call.launch_with_pdl = true;

    OwnedStream stream(context, 0);
    fused_allreduce_add_rmsnorm_quant(workspace, call, stream.get());
    context.synchronize(0);

    const cuda::CudaDevice device(driver, 0);
    const cuda::CurrentContext current(*driver, device.context());
    const CallShape shape = {Operation::kFused, DataType::kBF16, Quant::kFp8, kHidden, kTokens};
    Spec spec;
    spec.target = device.target();
    spec.quant = Quant::kFp8;
    spec.has_output = false;
    spec.pdl = Pdl::kEarlyTrigger;
    spec.hidden_dim = kHidden;
    const Choice choice = workspace.impl().dispatcher().choose(shape, Strategy::kAuto, workspace.impl().capacity);
    spec.strategy = choice.strategy;
    spec.geometry = choice.geometry;
    if (workspace.impl().plans.find(spec) == nullptr) {
      throw Error(ErrorCode::kUnsupported, "the bare kernel is not the call's: " + describe(spec));
    }
    BareLaunch bare(*driver, spec, &workspace.impl().params, static_cast<CUstream>(stream.get()));

    Series ours;
    Series theirs;
    for (int batch = 0; batch < batches + 20; batch++) {
      const double call_time =
          nanoseconds_a_call(calls, [&] { fused_allreduce_add_rmsnorm_quant(workspace, call, stream.get()); });
      context.synchronize(0);
      const double bare_time = nanoseconds_a_call(calls, bare);
      context.synchronize(0);
      if (batch < 20) continue;  // warming up
      ours.nanoseconds.push_back(call_time);
      theirs.nanoseconds.push_back(bare_time);
    }
    const nlohmann::ordered_json line = {{"benchmark", "host_cost"},
                                         {"device", device.name()},
                                         {"call_ns", ours.quantile(0.5)},
                                         {"call_ns_quartiles", {ours.quantile(0.25), ours.quantile(0.75)}},
                                         {"bare_ns", theirs.quantile(0.5)},
                                         {"bare_ns_quartiles", {theirs.quantile(0.25), theirs.quantile(0.75)}},
                                         {"more_ns", ours.quantile(0.5) - theirs.quantile(0.5)}};
    fmt::print(
        "warm call {:.0f} ns ({:.0f} to {:.0f}), bare cuLaunchKernelEx {:.0f} ns ({:.0f} to {:.0f}): {:.0f} ns more\n",
        ours.quantile(0.5), ours.quantile(0.25), ours.quantile(0.75), theirs.quantile(0.5), theirs.quantile(0.25),
        theirs.quantile(0.75), ours.quantile(0.5) - theirs.quantile(0.5));
    if (!json.empty()) std::ofstream(json, std::ios::app) << line.dump() << "\n";
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "allnorm_host_cost: {}\n", error.what());
    return 1;
  }
}
