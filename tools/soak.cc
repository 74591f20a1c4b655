// `allnorm soak`: random calls on GPUs for long, in graphs and one by one, each output checked on the device.
#include "soak.h"

#include <memory>

#include "command.h"
#include "options.h"
#include "rank_processes.h"

namespace allnorm::tools {

Run add_soak(CLI::App& app) {
  const auto options = std::make_shared<SoakOptions>();
  constexpr std::int64_t kMost = 1'000'000'000'000'000;
  add_integer(app, "--calls", options->calls, 1, kMost,
              "Calls of each rank, default 1000000; rounded up to blocks of 100");
  add_integer(app, "--seconds", options->seconds, 0, 1'000'000,
              "End after so long, whatever was done; default 0: never");
  add_integer(app, "--cases", options->cases, 100, 100'000,
              "Different calls, each with inputs of its own, default 2000; rounded up to blocks of 100");
  add_integer(app, "--max-tokens", options->max_tokens, 1, 65536, "Rows of the largest call, default 512");
  add_integer(app, "--ranks", options->ranks, 1, 8, "Ranks, default 2; each on a GPU of its own, or all on GPU 0");
  add_integer(app, "--spawn", options->spawn, 2, 72, "Start so many processes, a rank and a GPU each");
  add_integer(app, "--seed", options->seed, 0, kMost, "Of cases, inputs and order; default 0: a new one");
  app.add_flag("--json", options->json, "Print JSON");
  add_notes(
      app,
      "Draws calls (tokens log-uniform; hidden_dim, dtype, quantization, layout and strategy at random), runs them\n"
      "on one workspace in an order of chance, four blocks of five in CUDA graphs, and compares a digest of every\n"
      "output with that of the CPU reference, on the GPU. Outputs are poisoned before. With --spawn, or started\n"
      "by torchrun or mpirun, each process is a rank. Ctrl-C or SIGTERM ends it early: what was done is reported.\n\n"
      "Exit codes: 0 no output differed; 1 some did, or a call did not end; 2 wrong options; 3 there is no GPU\n"
      "(`allnorm simulate` needs none), or something else is missing.\n\n"
      "Examples:\n"
      "  allnorm soak\n"
      "  allnorm soak --spawn 2 --calls 10000000 --seconds 540\n"
      "  torchrun --nproc-per-node 2 --no-python allnorm soak --seed 7");
  return [options] {
    if (options->spawn > 0) return spawn_ranks(options->spawn);
    end_with_parent();
    return run_soak(*options);
  };
}

}  // namespace allnorm::tools
