// `allnorm demo`: runs the call on what is here, or compiles what would run.
#include "demo.h"

#include "allnorm/error.h"
#include "dispatch/geometry.h"
#include "env/env.h"
#include "gpu_session.h"
#include "options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

constexpr int kDefaultRanks = 2;
constexpr std::int64_t kMaxTokens = 65536;

/// A GPU for each rank where there are enough that reach each other, else virtual ranks on the first.
std::vector<int> choose_gpus(const cuda::Driver& driver, const std::vector<int>& usable, int ranks) {
  const auto count = static_cast<std::size_t>(ranks);
  if (usable.size() >= count) {
    std::vector<int> gpus(usable.begin(), usable.begin() + ranks);
    if (all_linked(driver, gpus)) return gpus;
  }
  return std::vector<int>(count, usable.front());
}

int run(DemoOptions options) {
  if (options.ranks == 0) options.ranks = kDefaultRanks;
  // The strictest of the calls is the one with NVFP4.
  if (!is_hidden_dim(options.hidden_dim, options.dtype, Quant::kNvfp4)) {
    refuse("--hidden", std::to_string(options.hidden_dim), allowed_hidden_dims(options.dtype, Quant::kNvfp4));
  }
  const Env env = Env::from_process();
  std::shared_ptr<const cuda::Driver> driver;
  std::vector<int> usable;
  try {
    driver = cuda::Driver::load(env.driver_path);
    usable = usable_gpus(*driver);
  } catch (const Error& error) {
    return compile_only(options, split_advice(error.what()).first);
  }
  if (usable.empty()) return compile_only(options, "no GPU here is one that AllNorm has kernels for");
  return run_on_gpus(options, driver, choose_gpus(*driver, usable, options.ranks));
}

}  // namespace

std::vector<Strategy> demo_strategies(int ranks) {
  if (ranks == 1) return {Strategy::kOneShot};  // nobody to share the work with
  return {Strategy::kOneShot, Strategy::kTwoShot};
}

Run add_demo(CLI::App& app) {
  const auto options = std::make_shared<DemoOptions>();
  add_integer(app, "--ranks", options->ranks, 1, kMaxVirtualRanks,
              "Ranks, default 2; each on a GPU of its own if there are enough, else all on one");
  add_integer(app, "--tokens", options->tokens, 1, kMaxTokens, "Rows of a call, default 128");
  add_integer(app, "--hidden", options->hidden_dim, 1, kMaxHiddenDim, "Elements of a row, default 7168");
  add_name(app, "--dtype", options->dtype, kRowDataTypes, "Elements of rows, default bf16");
  add_integer(app, "--seed", options->seed, 0, std::numeric_limits<std::int64_t>::max(),
              "Of the random inputs, default 1");
  app.add_flag("--json", options->json, "Print JSON");
  add_notes(app,
            "Runs the fused call with each quantization and strategy, and compares every byte of every rank's\n"
            "outputs with a reference on the CPU. Without a GPU it compiles the kernels and runs nothing.\n\n"
            "Exit codes: 0 all verified, or compiled where there is no GPU; 1 outputs differ; 2 wrong options;\n"
            "3 something is missing or broken: `allnorm doctor` says what.\n\n"
            "Examples:\n"
            "  allnorm demo\n"
            "  allnorm demo --tokens 1 --hidden 4096 --dtype f16\n"
            "  allnorm demo --ranks 8 --json");
  return [options] { return run(*options); };
}

}  // namespace allnorm::tools
