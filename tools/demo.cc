// `allnorm demo`: runs the call on what is here, GPUs or the simulator, or compiles what would run on GPUs.
#include "demo.h"

#include "comm/vote.h"
#include "dispatch/geometry.h"
#include "env/env.h"
#include "options.h"
#include "rank_processes.h"

namespace allnorm::tools {
namespace {

constexpr std::int64_t kMaxTokens = 65536;

int run(DemoOptions options) {
  DemoShape& shape = options.shape;
  // The strictest of the calls is the one with NVFP4.
  if (!is_hidden_dim(shape.hidden_dim, shape.dtype, Quant::kNvfp4)) {
    refuse("--hidden", std::to_string(shape.hidden_dim), allowed_hidden_dims(shape.dtype, Quant::kNvfp4));
  }
  if (options.compile_only && options.device != DemoDevice::kAuto) {
    refuse("--compile-only", std::string("with --device ") + to_string(options.device), "without it: nothing runs");
  }
  if (options.compile_only) {
    if (shape.tokens == 0) shape.tokens = kTokensOnGpus;
    return compile_only(options);
  }
  if (options.spawn > 0) return spawn_ranks(options.spawn);
  end_with_parent();
  std::unique_ptr<Bootstrap> bootstrap;
  if (is_launched_rank()) {
    bootstrap = meet_on_host(launched_group());
    shape.ranks = bootstrap->world_size();
  }
  const Env env = Env::from_process();
  const DemoPlace place = bootstrap == nullptr
                              ? choose_place(options.device, shape.ranks, env)
                              : choose_place_of_rank(options.device, bootstrap->rank(), shape.ranks, env);
  if (bootstrap != nullptr) {
    check_agreement(*bootstrap, "what runs the demo", place.is_simulated() ? "the simulator" : "GPUs");
  }
  if (shape.tokens == 0) shape.tokens = place.is_simulated() ? kTokensOnSimulator : kTokensOnGpus;
  return run_demo(options, place, bootstrap.get());
}

}  // namespace

Run add_demo(CLI::App& app) {
  const auto options = std::make_shared<DemoOptions>();
  DemoShape& shape = options->shape;
  add_name(app, "--device", options->device, kDemoDevices, "What runs it, default auto (GPUs, else the simulator)");
  add_integer(app, "--ranks", shape.ranks, 1, kMaxVirtualRanks,
              "Ranks, default 2; each on a GPU of its own if there are enough, else all on one");
  add_integer(app, "--tokens", shape.tokens, 1, kMaxTokens,
              fmt::format("Rows of a call, default {}, on the simulator {}", kTokensOnGpus, kTokensOnSimulator));
  add_integer(app, "--hidden", shape.hidden_dim, 1, kMaxHiddenDim, "Elements of a row, default 7168");
  add_name(app, "--dtype", shape.dtype, kRowDataTypes, "Elements of rows, default bf16");
  add_integer(app, "--seed", options->seed, 0, std::numeric_limits<std::int64_t>::max(),
              "Of the random inputs, default 1");
  add_integer(app, "--spawn", options->spawn, 2, kMaxWorldSize, "Start so many processes, a rank and a GPU each");
  app.add_flag("--compile-only", options->compile_only,
               "Compile the kernels for all GPU architectures instead, and run none; needs no GPU");
  app.add_flag("--json", options->json, "Print JSON");
  add_notes(
      app,
      "Runs the fused call with each quantization and strategy, and compares every byte of every rank's\n"
      "outputs with a reference on the CPU. Without a GPU it runs on the simulator: the same kernels, compiled\n"
      "by the system's C++ compiler. Those of the default options come with this program.\n\n"
      "Started by torchrun or mpirun, or with --spawn, each process is a rank with a GPU of its own, and --ranks\n"
      "means nothing. Processes cannot share simulated GPUs: there each simulates all ranks.\n\n"
      "Exit codes: 0 all verified, or compiled; 1 outputs differ; 2 wrong options; 3 something is missing or\n"
      "broken: `allnorm doctor` says what.\n\n"
      "Examples:\n"
      "  allnorm demo\n"
      "  allnorm demo --tokens 1 --hidden 4096 --dtype f16\n"
      "  allnorm demo --ranks 8 --json\n"
      "  allnorm demo --device sim\n"
      "  allnorm demo --spawn 2\n"
      "  torchrun --nproc-per-node 2 --no-python allnorm demo\n"
      "  mpirun -np 2 allnorm demo\n"
      "  allnorm demo --compile-only");
  return [options] { return run(*options); };
}

}  // namespace allnorm::tools
