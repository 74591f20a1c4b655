// What `allnorm tune` does: entry after entry, each written as soon as it is known.
#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "allnorm/error.h"
#include "api/context_impl.h"
#include "command.h"
#include "dispatch/table_search.h"
#include "env/env.h"
#include "gpu/session.h"
#include "measure.h"
#include "progress.h"
#include "tune.h"
#include "tune_entry.h"
#include "tune_table.h"
#include "tune_track.h"

namespace allnorm::tools {
namespace {

struct Wanted {
  std::vector<int> hidden_dims = {7168};
  std::vector<DataType> dtypes = {DataType::kBF16};
  std::vector<Quant> quants = {Quant::kFp8};

  explicit Wanted(const TuneOptions& options) {
    if (!options.hidden_dims.empty()) hidden_dims = options.hidden_dims;
    if (!options.dtypes.empty()) dtypes = options.dtypes;
    if (!options.quants.empty()) quants = options.quants;
  }
};

std::vector<TableKey> keys_of(std::span<const TunePlace> places, const Wanted& wanted) {
  std::vector<TableKey> keys;
  for (const TunePlace& place : places) {
    for (const int hidden_dim : wanted.hidden_dims) {
      for (const DataType dtype : wanted.dtypes) {
        for (const Quant quant : wanted.quants) {
          keys.push_back({.quant = quant, .dtype = dtype, .world_size = place.world_size, .hidden_dim = hidden_dim});
        }
      }
    }
  }
  return keys;
}

class Tuning {
 public:
  Tuning(const TuneOptions& options, std::vector<TunePlace> places, const Env& env)
      : options_(options), wanted_(options), places_(std::move(places)), env_(env) {
    const TunePlace& first = places_.front();
    made_here_ = provenance_of(first);
    keys_ = keys_of(places_, wanted_);
    if (!first.speaks()) return;
    path_ = options.output.empty() ? default_table_path(env.config_dir, made_here_.device) : options.output;
    file_.emplace(path_, made_here_);
    file_->check_writable();
    if (file_->outdated() > 0) {
      fmt::print(
          "{}: its {} entries were made for other kernels, or with another NVRTC or driver; it is kept as {}.old\n",
          path_, file_->outdated(), path_);
    }
  }

  void run() {
    std::unique_ptr<Meter> meter;
    for (const TunePlace& place : places_) {
      for (std::size_t i = 0; i < keys_.size() / places_.size(); ++i, ++entry_) {
        // A World for each shape of rows.
        TableKey key = keys_[entry_];
        const bool is_new_shape = i % wanted_.quants.size() == 0;
        if (is_new_shape) meter.reset();
        if (is_new_shape) meter = meter_for(place, key, options_.max_tokens);
        key.transport = transport_ = meter->transport();
        tune(*meter, place, key);
      }
    }
    if (file_) say_where(*file_);
  }

 private:
  void tune(Meter& meter, const TunePlace& place, const TableKey& key) {
    // Rank 0 has the file: what it says goes for all.
    const bool is_there = is_done(key);
    if (from_rank_0(place.bootstrap, is_there ? "there" : "new") == "there") {
      if (file_) fmt::print("{}: is there already (--again measures it anew)\n", describe(key));
      return;
    }
    std::optional<Progress> progress;
    if (file_) progress.emplace("tuning entry", keys_.size());
    const auto on_step = [&](const std::string& what, double left) {
      if (!progress) return;
      progress->show(entry_ + 1, fmt::format("{}: {}, {}", describe(key), what, time_left(left)));
    };
    const TunedEntry entry = tune_entry(meter, place, key, made_here_, options_, on_step);
    progress.reset();
    ++measured_;
    seconds_ += entry.seconds;
    const bool is_unclear = count_unclear(entry.races).cut_short > 0;
    if (file_) file_->put(key, entry.bounds, is_unclear);
    // The next World looks for its table: by then the file must be whole.
    if (place.bootstrap != nullptr) place.bootstrap->barrier();
    if (!file_) return;
    write_report(report_folder(), entry);
    fmt::print("{} ({}), {:.0f} s:\n{}{}\n{}\n", describe(key), place.words(), entry.seconds, bounds_text(entry.bounds),
               races_sentence(entry), regret_sentence(entry));
    if (is_unclear) fmt::print("The next run measures it again; --seconds gives it more time.\n");
    fmt::print("\n");
    std::fflush(stdout);
  }

  std::string time_left(double of_entry) const {
    const std::size_t others = to_be_measured();
    const double of_each = measured_ > 0 ? seconds_ / static_cast<double>(measured_) : options_.seconds;
    const double all = of_entry + static_cast<double>(others) * of_each;
    return others == 0 ? fmt::format("about {:.0f} s left", of_entry)
                       : fmt::format("about {:.0f} s left, {:.0f} min in all", of_entry, all / 60 + 0.5);
  }

  /// After this entry. Those on other places are taken to have this one's transport: who knows it is not made yet.
  std::size_t to_be_measured() const {
    std::size_t count = 0;
    for (std::size_t i = entry_ + 1; i < keys_.size(); ++i) {
      TableKey key = keys_[i];
      key.transport = transport_;
      if (!is_done(key)) ++count;
    }
    return count;
  }

  bool is_done(const TableKey& key) const { return file_ && file_->has(key, options_.max_tokens) && !options_.again; }

  std::string report_folder() const {
    if (!options_.report.empty()) return options_.report;
    const std::string suffix = ".json";
    return (path_.ends_with(suffix) ? path_.substr(0, path_.size() - suffix.size()) : path_) + "-report";
  }

  /// And whether calls will find it there.
  void say_where(const TableFile& file) const {
    fmt::print("table: {}\nreport: {}\n", path_, report_folder());
    TablePlaces places;
    places.environment_path = env_.table_path;
    if (!env_.config_dir.empty()) places.user_folder = env_.config_dir + "/tables";
    places.embedded = embedded_tuned_tables();
    const FoundTable found = find_table(places, made_here_.device, made_here_.kernel_digest);
    if (found.table && has_all_of(*found.table, file.table())) return;
    fmt::print("Calls do not use all of it: they find {}. ALLNORM_TABLE={} makes them.\n",
               found.table ? found.source() : "no table", path_);
  }

  const TuneOptions& options_;
  Wanted wanted_;
  std::vector<TunePlace> places_;
  const Env& env_;
  Provenance made_here_;
  std::string path_;
  std::optional<TableFile> file_;  ///< Of the process that has rank 0.
  std::vector<TableKey> keys_;     ///< Of all entries, in their order; their transport is not known yet.
  Transport transport_ = Transport::kUnicast;
  std::size_t entry_ = 0;  ///< Before this one.
  std::size_t measured_ = 0;
  double seconds_ = 0;  ///< Of those that were measured.
};

}  // namespace

int run_tune(const TuneOptions& options) {
  const Env env = Env::from_process();
  need_gpus(env);
  try {
    Tuning(options, places_of(options.ranks, env), env).run();
    return kExitOk;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kTimeout && error.code() != ErrorCode::kAborted) throw;
    fmt::print(stderr, "allnorm: {}\n", error.what());
    return kExitFailed;
  }
}

}  // namespace allnorm::tools
