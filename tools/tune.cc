// `allnorm tune`: measures which strategy and geometry are the fastest, and writes the table that AUTO looks up.
#include "tune.h"

#include <memory>

#include "dispatch/geometry.h"
#include "lists.h"
#include "options.h"
#include "rank_processes.h"

namespace allnorm::tools {
namespace {

constexpr int kMaxTokens = 65536;

constexpr const char* kNotes =
    "An entry is one combination of world, --hidden, --dtype and --quant. At about 30 token counts, one-shot and\n"
    "two-shot with all geometries race each other: samples of 40 calls in a CUDA graph with PDL, in turns, the ranks\n"
    "beginning together and the slowest counted; who is far behind leaves, the others run on until their medians tell\n"
    "them apart or do not matter. A bound's choice is kept as long as it is within 1 % of the best, or within noise, "
    "up\n"
    "to 2 %. Where the choice changes, the place is found by halving. Then AUTO with the new table is compared with "
    "the\n"
    "best of all at --fresh other token counts.\n\n"
    "Each entry is written when it is known, and one that the table has for these GPUs and kernels, and as many\n"
    "tokens, is not measured again, so an interrupted run goes on where it was; one that ended for want of time, with\n"
    "races that were not clear yet, is. Entries made for other kernels, or with another NVRTC or major version of the\n"
    "driver, go into FILE.old. An entry holds for all calls if --max-tokens is 4096 or more, else up to that.\n\n"
    "Beside the table, a folder gets a report with charts for each entry. AUTO finds tables in the user's folder by\n"
    "itself; ALLNORM_TABLE names one elsewhere.\n\n"
    "--check says whether the table that calls find here (or --table) still fits: made for these GPUs and kernels, "
    "and\n"
    "AUTO within 3 % of the best, as far as noise lets one say, at powers of two, on both sides of each bound and at\n"
    "--fresh more token counts. It changes nothing.\n\n"
    "With --spawn, or started by torchrun or mpirun, each process is a rank, and all of them are the one world.\n\n"
    "Exit codes: 0 done, or the table fits; 1 the table does not fit, or a call did not end; 2 wrong options; 3 there\n"
    "is no GPU, or not one for each rank, or something else is missing.\n\n"
    "Examples:\n"
    "  allnorm tune\n"
    "  allnorm tune --ranks 2,4,8 --hidden 4096,7168 --quant none,fp8,nvfp4,dynamic_fp8\n"
    "  allnorm tune --spawn 2 --output h200.json --report h200-report\n"
    "  torchrun --nproc-per-node 8 --no-python allnorm tune --hidden 8192\n"
    "  allnorm tune --check";

/// Throws UsageError.
void check(const TuneOptions& options) {
  const std::vector<DataType> dtypes = options.dtypes.empty() ? std::vector{DataType::kBF16} : options.dtypes;
  const std::vector<Quant> quants = options.quants.empty() ? std::vector{Quant::kFp8} : options.quants;
  for (const int hidden_dim : options.hidden_dims) {
    for (const DataType dtype : dtypes) {
      for (const Quant quant : quants) {
        if (is_hidden_dim(hidden_dim, dtype, quant)) continue;
        refuse("--hidden", std::to_string(hidden_dim), allowed_hidden_dims(dtype, quant));
      }
    }
  }
  if (options.spawn > 0 && !options.ranks.empty()) refuse("--spawn", "with --ranks", "one of the two");
  if (options.check && !options.output.empty()) refuse("--output", "with --check", "--table");
  if (options.check && options.again) refuse("--again", "with --check", "one of the two");
  if (options.check && options.fresh_counts == 0) refuse("--fresh", "\"0\" with --check", "1 or more");
  if (!options.check && !options.table.empty()) refuse("--table", "without --check", "--output");
}

}  // namespace

Run add_tune(CLI::App& app) {
  const auto options = std::make_shared<TuneOptions>();
  add_integers(app, "--ranks", options->ranks, 1, kMaxWorldSize,
               "Worlds, each rank on a GPU of its own; default 2, 4 and 8 as far as there are GPUs");
  add_integers(app, "--hidden", options->hidden_dims, 1, kMaxHiddenDim, "Elements of a row, default 7168");
  add_names(app, "--dtype", options->dtypes, kRowDataTypes, "Elements of rows, default bf16");
  add_names(app, "--quant", options->quants, kQuants, "Quantization, default fp8");
  add_integer(app, "--max-tokens", options->max_tokens, 1, kMaxTokens, "The most rows of a call, default 4096");
  add_integer(app, "--seconds", options->seconds, 1, 3600,
              "About how long an entry may take, without compiling; default 50, quiet machines need less");
  add_integer(app, "--fresh", options->fresh_counts, 0, 1000,
              "More token counts at which the table is tried, default 30");
  app.add_option("-o,--output", options->output, "The table, default tables/GPU.json in the user's config folder")
      ->type_name("FILE");
  app.add_option("--report", options->report, "Where the reports go, default a folder beside the table")
      ->type_name("DIR");
  app.add_flag("--again", options->again, "Measure also what the table has already");
  app.add_flag("--check", options->check,
               "Say whether a table still fits this machine; of --ranks, --hidden, --dtype and --quant, those that are "
               "given select entries");
  app.add_option("--table", options->table, "With --check: this table")->type_name("FILE");
  add_integer(app, "--spawn", options->spawn, 2, kMaxWorldSize, "Start so many processes, a rank and a GPU each");
  add_notes(app, kNotes);
  return [options] {
    check(*options);
    if (options->spawn > 0) return spawn_ranks(options->spawn);
    end_with_parent();
    return options->check ? run_tune_check(*options) : run_tune(*options);
  };
}

}  // namespace allnorm::tools
