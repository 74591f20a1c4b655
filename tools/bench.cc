// `allnorm bench`: how long the fused call takes on GPUs, beside the least that these GPUs could take.
#include "bench.h"

#include <memory>

#include "allnorm/error.h"
#include "dispatch/geometry.h"
#include "lists.h"
#include "options.h"
#include "rank_processes.h"
#include "spec_options.h"

namespace allnorm::tools {
namespace {

constexpr int kMaxTokens = 65536;
constexpr std::array kAllowedLayouts = {ScaleLayout::kSwizzled128x4, ScaleLayout::kLinear};

constexpr const char* kNotes =
    "A figure is microseconds a call: the median of --repetitions samples, with the distance of the quartiles. A\n"
    "sample is 40 calls back to back, in a CUDA graph or enqueued one by one, timed by events on the stream; the\n"
    "slowest rank counts. The same calls run once before, untimed. Variants are measured in turns (with --sweep,\n"
    "those of a token count), so that what drifts hits all alike.\n\n"
    "Not --aligned, the ranks are launched one shortly after the other, and the first call of 40 waits that long.\n\n"
    "With --l2 cold, as many bytes are written before each call as the L2 holds. Forty such writes alone are timed\n"
    "just before each sample, and their time is taken off: what is counted is what the call adds. The writes leave\n"
    "the L2 full of dirty lines, so a call pays for writing them back as it takes their place, too.\n\n"
    "The floor is of the same run: an empty kernel in a graph, the latency of a store from rank 0 to rank 1\n"
    "(two-shot: twice), and the bytes that the busiest rank sends, which are those it receives, at the rate that\n"
    "kernels or the copy engine reach while all ranks send.\n"
    "Ranks that share a GPU have no links, so no floor, and their times say nothing of NVLink.\n\n"
    "With --spawn, or started by torchrun or mpirun, each process is a rank, and --ranks means nothing.\n\n"
    "Exit codes: 0 measured; 1 a call did not end; 2 wrong options; 3 there is no GPU (`allnorm simulate` needs\n"
    "none, but the times of simulated GPUs mean nothing), or something else is missing.\n\n"
    "Examples:\n"
    "  allnorm bench\n"
    "  allnorm bench --quant none,fp8,nvfp4,dynamic_fp8 --strategy one_shot,two_shot --mode both --plot bench.svg\n"
    "  allnorm bench --tokens 1,64 --sweep --json\n"
    "  allnorm bench --spawn 2 --aligned\n"
    "  tools/compare-peers > peers.jsonl; allnorm bench --aligned --peers peers.jsonl --plot bench.svg\n"
    "  torchrun --nproc-per-node 8 --no-python allnorm bench --hidden 4096,8192";

/// Throws UsageError for rows that a quantization, or a geometry, cannot have.
void check(const BenchOptions& options) {
  for (const int hidden_dim : options.hidden_dims) {
    for (const DataType dtype : options.dtypes) {
      for (const Quant quant : options.quants) {
        if (!is_hidden_dim(hidden_dim, dtype, quant)) {
          refuse("--hidden", std::to_string(hidden_dim), allowed_hidden_dims(dtype, quant));
        }
      }
      for (const Geometry& geometry : options.geometries) {
        Spec spec;
        spec.hidden_dim = hidden_dim;
        spec.dtype = spec.gamma_dtype = dtype;
        spec.geometry = geometry;
        try {
          check_spec(spec);
        } catch (const Error& error) {
          throw UsageError(name_flag(error.what()));
        }
      }
    }
  }
  if (options.sweep && !options.geometries.empty()) refuse("--sweep", "with --geometry", "one of the two");
  if (options.sweep && !options.plot.empty()) refuse("--plot", "with --sweep", "without it");
  if (options.sweep && !options.peers.empty()) refuse("--peers", "with --sweep", "without it");
}

}  // namespace

Run add_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  add_integers(app, "--tokens", options->tokens, 1, kMaxTokens, "Rows of a call, default 1,2,4 and so on to 4096");
  add_integers(app, "--hidden", options->hidden_dims, 1, kMaxHiddenDim, "Elements of a row, default 7168");
  add_names(app, "--dtype", options->dtypes, kRowDataTypes, "Elements of rows, default bf16");
  add_names(app, "--quant", options->quants, kQuants, "Quantization, default fp8");
  add_names(app, "--layout", options->layouts, kAllowedLayouts, "Of nvfp4's scales, default swizzled_128x4");
  add_names(app, "--strategy", options->strategies, kStrategies, "Default auto");
  add_list(app, "--pdl", options->pdls, parse_pdl_flag,
           "Programmatic dependent launch, default early: off, early, late");
  add_list(app, "--geometry", options->geometries, parse_geometry,
           "CTAs a row x warps a CTA x chunks a warp, such as 4x7x1; default: what the dispatcher chooses");
  app.add_flag(
      "--sweep", options->sweep,
      "All geometries of up to 4 chunks a warp; where --strategy and --pdl are not given, with both strategies and "
      "both triggers. The table has the six fastest of each token count");
  app.add_option_function<std::string>(
         "--mode",
         [options](const std::string& text) {
           if (text == "graph") {
             options->modes = {CallMode::kGraph};
           } else if (text == "eager") {
             options->modes = {CallMode::kEager};
           } else if (text == "both") {
             options->modes = {CallMode::kGraph, CallMode::kEager};
           } else {
             refuse("--mode", "\"" + text + "\"", "graph, eager, both");
           }
         },
         "Calls in CUDA graphs (default), or enqueued one by one: graph, eager, both")
      ->type_name("NAME");
  app.add_option_function<std::string>(
         "--l2",
         [options](const std::string& text) {
           if (text != "warm" && text != "cold") refuse("--l2", "\"" + text + "\"", "warm, cold");
           options->cold_l2 = text == "cold";
         },
         "What calls find in the L2 cache, default warm: warm, cold")
      ->type_name("NAME");
  app.add_flag("--aligned", options->aligned,
               "Launch the timed calls right behind the untimed ones, so that the ranks begin them together");
  add_integer(app, "--repetitions", options->repetitions, 1, 10'000, "Samples of each figure, default 25");
  add_integer(app, "--ranks", options->ranks, 1, kMaxVirtualRanks,
              "Ranks, default 2; each on a GPU of its own if there are enough, else all on one");
  add_integer(app, "--spawn", options->spawn, 2, kMaxWorldSize, "Start so many processes, a rank and a GPU each");
  app.add_flag("--json", options->json, "Print JSON, a line for the floor and one for each figure");
  app.add_option("--peers", options->peers, "What tools/compare-peers printed here: ratios to it, and lines in --plot")
      ->type_name("FILE");
  app.add_option("--plot", options->plot, "Draw time against tokens, with the floor, as SVG")->type_name("FILE");
  add_notes(app, kNotes);
  return [options] {
    check(*options);
    if (options->spawn > 0) return spawn_ranks(options->spawn);
    end_with_parent();
    return run_bench(*options);
  };
}

}  // namespace allnorm::tools
