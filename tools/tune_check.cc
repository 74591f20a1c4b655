// `allnorm tune --check`: whether a table still fits this machine.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "allnorm/error.h"
#include "command.h"
#include "dispatch/names.h"
#include "dispatch/table_search.h"
#include "env/env.h"
#include "gpu/session.h"
#include "measure.h"
#include "progress.h"
#include "tune.h"
#include "tune_entry.h"

namespace allnorm::tools {
namespace {

template <typename Value>
bool is_wanted(const std::vector<Value>& wanted, Value value) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

class Check {
 public:
  Check(const TuneOptions& options, TunePlace first, const Env& env)
      : options_(options), first_(std::move(first)), env_(env) {}

  bool fits() {
    const Provenance here = provenance_of(first_);
    const FoundTable found = find(here);
    if (!found.table) {
      say(fmt::format("There is no table for {}; `allnorm tune` makes one.", here.device));
      for (const std::string& note : found.notes) say("  " + note);
      return false;
    }
    bool all_fit = true;
    for (const auto& [words, made, entries] : found.sources) {
      const bool is_for_these = made.kernel_digest == here.kernel_digest;
      say(fmt::format("{}: {} entries, made on {} on {} (driver {}, NVRTC {}; here {}, {}), for {} kernels", words,
                      entries, made.date, made.device, made.driver, made.nvrtc, here.driver, here.nvrtc,
                      is_for_these ? "these" : "other"));
      all_fit = all_fit && is_for_these;
    }
    say("");
    std::size_t measured = 0;
    entries_ = found.table->entry_count();
    for (const TableKey& key : found.table->keys()) {
      ++entry_;
      const std::optional<bool> fits = measure(key, *found.table);
      if (!fits) continue;
      ++measured;
      all_fit = all_fit && *fits;
    }
    if (measured == 0) {
      say("None of its entries was measured: see --ranks, --hidden, --dtype and --quant.");
      return false;
    }
    say(all_fit
            ? fmt::format("The table fits: {} of {} entries were measured, and as far as noise lets one say, AUTO is "
                          "within {:.0f} % of the best.",
                          measured, entries_, 100 * kMostRegret)
            : "The table does not fit this machine any more; `allnorm tune --again` makes it anew.");
    return all_fit;
  }

 private:
  FoundTable find(const Provenance& here) const {
    TablePlaces places;
    places.option_path = options_.table;
    if (options_.table.empty()) {
      places.environment_path = env_.table_path;
      if (!env_.config_dir.empty()) places.user_folder = env_.config_dir + "/tables";
      places.embedded = embedded_tuned_tables();
    }
    return find_table(places, here.device, here.kernel_digest);
  }

  /// Whether the entry fits; nothing for one that was not asked for, or cannot be measured here.
  std::optional<bool> measure(const TableKey& key, const Table& table) {
    if (!is_wanted(options_.hidden_dims, key.hidden_dim) || !is_wanted(options_.dtypes, key.dtype) ||
        !is_wanted(options_.quants, key.quant)) {
      return std::nullopt;
    }
    const std::optional<TunePlace> place = place_for(key);
    if (!place) return std::nullopt;
    const std::unique_ptr<Meter> meter = meter_for(*place, key, options_.max_tokens);
    if (key.operation != Operation::kFused || key.transport != meter->transport()) {
      say(fmt::format("{}, {}, {}: cannot be measured here\n", describe(key), to_string(key.operation),
                      to_string(key.transport)));
      return std::nullopt;
    }
    std::optional<Progress> progress;
    if (first_.speaks()) progress.emplace("checking entry", entries_);
    const auto on_step = [&](const std::string& what, double left) {
      if (progress) progress->show(entry_, fmt::format("{}: {}, about {:.0f} s left", describe(key), what, left));
    };
    const TunedEntry entry = check_entry(*meter, *place, key, table, options_, on_step);
    progress.reset();
    say(fmt::format("{} ({}): {}\n{}", describe(key), place->words(), regret_sentence(entry), regret_text(entry)));
    if (first_.speaks() && !options_.report.empty()) write_report(options_.report, entry);
    return tools::fits(entry.regrets);
  }

  /// A launcher's world is the only one. Otherwise those that were asked for, or all that there are GPUs for.
  std::optional<TunePlace> place_for(const TableKey& key) const {
    if (first_.bootstrap != nullptr) return first_.world_size == key.world_size ? std::optional(first_) : std::nullopt;
    if (!is_wanted(options_.ranks, key.world_size)) return std::nullopt;
    try {
      return place_of(key.world_size, env_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported || !options_.ranks.empty()) throw;
      say(fmt::format("{}: there are not enough GPUs\n", describe(key)));
      return std::nullopt;
    }
  }

  void say(const std::string& text) const {
    if (!first_.speaks()) return;
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }

  const TuneOptions& options_;
  TunePlace first_;
  const Env& env_;
  std::size_t entries_ = 0;
  std::size_t entry_ = 0;  ///< This one, from 1.
};

}  // namespace

int run_tune_check(const TuneOptions& options) {
  const Env env = Env::from_process();
  need_gpus(env);
  try {
    Bootstrap* const bootstrap = gpu_tests::launched_bootstrap();
    const TunePlace first = bootstrap != nullptr ? places_of({}, env).front() : place_of(1, env);
    return Check(options, first, env).fits() ? kExitOk : kExitFailed;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kTimeout && error.code() != ErrorCode::kAborted) throw;
    fmt::print(stderr, "allnorm: {}\n", error.what());
    return kExitFailed;
  }
}

}  // namespace allnorm::tools
