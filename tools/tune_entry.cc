#include "tune_entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "measure.h"
#include "tune_table.h"
#include "tune_track.h"

namespace allnorm::tools {
namespace {

/// Of the time of an entry: the rest is for the regret.
constexpr double kShareOfSearch = 0.6;

/// Steps of an entry, in the order of their time.
class Entry {
 public:
  Entry(Meter& meter, const TunePlace& place, const TableKey& key, const TuneOptions& options,
        const OnTuneStep& on_step)
      : options_(options),
        on_step_(on_step),
        track_(meter, key.quant, place.bootstrap,
               [this](const std::string& what) { on_step_(what, options_.seconds); }) {
    entry_.kind = place.kind_of(key);
    entry_.place = place.words();
    rules_.max_tokens = options.max_tokens;
  }

  /// Takes none of the entry's time: whoever compiles all kernels has as much for the races as who finds them.
  void compile() {
    const auto begin = std::chrono::steady_clock::now();
    track_.prepare(all_candidates(entry_.kind));
    seconds_of_compiling_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  void search_bounds() {
    rules_.seconds = kShareOfSearch * (options_.seconds - track_.seconds());
    entry_.races = search(track_, entry_.kind, rules_, teller("racing", 0, kShareOfSearch));
    entry_.bounds = fewest_bounds(entry_.races, rules_.race.tolerance);
  }

  /// `from`: the share of the work that is done by then.
  void measure_policies(const Table& table, std::span<const std::int64_t> counts, double from) {
    const auto bounds = table.lookup(entry_.kind.key);
    entry_.bounds.assign(bounds.begin(), bounds.end());
    entry_.policies = policies_of(entry_.kind, table);
    rules_.seconds = options_.seconds - track_.seconds();
    entry_.regrets =
        measure_regret(track_, entry_.kind, entry_.policies, counts, rules_, teller("checking", from, 1 - from));
  }

  const std::vector<TableBound>& bounds() const { return entry_.bounds; }
  const TuneCase& kind() const { return entry_.kind; }

  TunedEntry finish() {
    entry_.seconds = seconds_of_compiling_ + track_.seconds();
    return std::move(entry_);
  }

 private:
  /// `share`: of all the work of the entry.
  std::function<void(std::int64_t, double)> teller(const char* what, double from, double share) {
    return [this, what, from, share](std::int64_t tokens, double done) {
      on_step_(fmt::format("{} {} tokens", what, tokens),
               seconds_left(track_.seconds(), from + share * done, options_.seconds));
    };
  }

  const TuneOptions& options_;
  const OnTuneStep& on_step_;
  MeterTrack track_;
  SearchRules rules_;
  TunedEntry entry_;
  double seconds_of_compiling_ = 0;
};

}  // namespace

double seconds_left(double elapsed, double share_done, double budget) {
  constexpr double kNextToNothing = 0.02;
  if (share_done < kNextToNothing) return std::max(budget - elapsed, 0.0);
  return elapsed * (1 - share_done) / share_done;
}

MeterOptions meter_options(const TableKey& key, std::int64_t max_tokens) {
  MeterOptions options;
  options.shape = {key.hidden_dim, key.dtype, max_tokens};
  options.aligned = true;
  return options;
}

std::unique_ptr<Meter> meter_for(const TunePlace& place, const TableKey& key, std::int64_t max_tokens) {
  return std::make_unique<Meter>(meter_options(key, max_tokens), place.gpus, place.bootstrap);
}

TunedEntry tune_entry(Meter& meter, const TunePlace& place, const TableKey& key, const Provenance& made_here,
                      const TuneOptions& options, const OnTuneStep& on_step) {
  Entry entry(meter, place, key, options, on_step);
  entry.compile();
  entry.search_bounds();
  const std::string text = to_json(TableParts{made_here, {{key, entry.bounds()}}});
  if (options.fresh_counts > 0) {
    const auto counts = fresh_counts(entry.kind(), entry.bounds(), options.max_tokens, options.fresh_counts);
    entry.measure_policies(Table::parse(text, "the new table"), counts, kShareOfSearch);
  }
  return entry.finish();
}

TunedEntry check_entry(Meter& meter, const TunePlace& place, const TableKey& key, const Table& table,
                       const TuneOptions& options, const OnTuneStep& on_step) {
  Entry entry(meter, place, key, options, on_step);
  entry.compile();
  entry.measure_policies(table, check_counts(table.lookup(key), options.max_tokens, options.fresh_counts), 0);
  return entry.finish();
}

}  // namespace allnorm::tools
