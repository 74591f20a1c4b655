// `allnorm warm`: compiles kernels before a program needs them, in worker processes, on any machine.
#include "warm.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "command.h"
#include "directory_lock.h"
#include "dispatch/spec_text.h"
#include "env/env.h"
#include "interrupt.h"
#include "progress.h"
#include "warm_place.h"
#include "warm_report.h"
#include "warm_worker.h"
#include "worker_pool.h"

namespace allnorm::tools {
namespace {

constexpr unsigned kMostWorkers = 16;
constexpr int kMaxWorkers = 256;

constexpr const char* kNotes =
    R"(Compiles kernels into the user's cache, or with --output into a directory to ship: programs that have it in
ALLNORM_PREBUILT_DIRS find them there. Neither GPU nor driver is needed. What is there already is not compiled again, so
that the same command goes on where one was cut short.

A LIST is one value or several with commas; of numbers also ranges: 2,4,8 or 2-8 or 2-72:2. All combinations are made
that kernels exist for, and by default all that AUTO can choose for calls with 1 to 4096 tokens.

Exit codes:
  0  all kernels are there; with --check: and as the manifest says
  1  some could not be made, or --check found something wrong
  2  the command line is wrong; nothing was done
  3  NVRTC, or for host the C++ compiler, is missing
  130  interrupted; what was made until then is kept, and in the manifest

Examples:
  allnorm warm --hidden 7168,8192 --dtype bf16 --quant fp8,nvfp4 --world 2,4,8 --arch sm_90a,sm_100a
  allnorm warm --hidden 7168 --world 2-8:2 --output /opt/kernels     then ALLNORM_PREBUILT_DIRS=/opt/kernels
  allnorm warm --table tuned.json --arch sm_90a                      all that AUTO can choose with this table
  ALLNORM_RECORD_SPECS=/tmp/specs.jsonl ./server                     and later, elsewhere:
  allnorm warm --manifest specs.jsonl --output kernels
  allnorm warm --check --output kernels                              what is there is as it was made)";

using Entries = std::map<std::pair<std::string, std::string>, cache::ManifestEntry>;

/// The state of one run.
class Warming {
 public:
  Warming(const WarmOptions& options, WarmPlace& place, Wanted wanted)
      : options_(options), place_(place), wanted_(std::move(wanted)) {
    report_.directory = place_.directory();
    report_.dropped = wanted_.dropped;
    report_.first_dropped = wanted_.first_dropped;
  }

  WarmReport run() {
    const auto begin = std::chrono::steady_clock::now();
    place_.prepare();
    find_what_is_there();
    check_compilers();
    {
      const Interrupt interrupt;
      if (!missing_.empty()) make_missing(interrupt);
      report_.interrupted = interrupt.count() > 0;
      report_.left = missing_.size() - report_.made - report_.failed.size() - came_meanwhile_;
      // An interruption that changed nothing was none.
      report_.interrupted = report_.interrupted && report_.left > 0;
      write_manifests();
    }
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(report_);
  }

 private:
  void add(const cache::ManifestEntry& entry) { entries_[{entry.target, entry.key}] = entry; }

  void find_what_is_there() {
    for (const Spec& spec : wanted_.specs) {
      if (const auto entry = place_.find(spec)) {
        note_there(*entry);
      } else {
        missing_.push_back(spec);
      }
    }
  }

  void note_there(const cache::ManifestEntry& entry) {
    report_.there++;
    report_.there_bytes += entry.bytes;
    add(entry);
  }

  /// Better once, and before anything is begun, than for each kernel.
  void check_compilers() {
    for (const Spec& spec : missing_) {
      if (spec.target == Target::kHost) {
        place_.compiler().host_compiler();
      } else {
        place_.compiler().nvrtc();
      }
    }
  }

  void make_missing(const Interrupt& interrupt) {
    std::optional<Progress> progress;
    if (!options_.verbose) progress.emplace("compiling", missing_.size());
    std::size_t done = 0;
    const auto tell = [&](const Spec& spec, const std::string& what) {
      done++;
      if (progress) {
        progress->show(done, short_name(spec));
      } else {
        fmt::print(stderr, "{} of {}: {}: {}\n", done, missing_.size(), short_name(spec), what);
      }
    };
    const auto fail = [&](std::size_t job, const std::string& why) {
      report_.failed.emplace_back(missing_[job], why);
      tell(missing_[job], "failed");
    };
    const auto take = [&](std::size_t job, const std::string& line) {
      const WarmAnswer answer = parse_answer(missing_[job], line);
      if (!answer.error.empty()) return fail(job, answer.error);
      note_made(answer.kernel);
      tell(missing_[job], fmt::format("{:.0f} ms, {} bytes", answer.kernel.seconds * 1e3, answer.kernel.entry.bytes));
    };
    std::vector<std::string> jobs;
    for (const Spec& spec : missing_) jobs.push_back(to_json(spec));
    WorkerPool{worker_arguments(place_), worker_count(), interrupt, take, fail}.run(jobs);
  }

  void note_made(const MadeKernel& kernel) {
    if (!kernel.compiled) {
      came_meanwhile_++;
      return note_there(kernel.entry);
    }
    report_.made++;
    report_.made_bytes += kernel.entry.bytes;
    report_.compiler_seconds += kernel.seconds;
    add(kernel.entry);
  }

  unsigned worker_count() const {
    if (options_.workers != 0) return options_.workers;
    return std::clamp(std::thread::hardware_concurrency(), 1u, kMostWorkers);
  }

  /// Not before all of this run has been read again: a cache drops what it has no room for.
  void write_manifests() {
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const std::string wrong = place_.what_is_wrong(entry->second);
      if (!wrong.empty()) report_.problems.push_back(fmt::format("a kernel has gone again: {}", wrong));
      entry = wrong.empty() ? std::next(entry) : entries_.erase(entry);
    }
    const DirectoryLock lock(place_.directory());
    if (!lock.is_held()) {
      report_.problems.push_back("the manifest may lack what other runs make meanwhile; run this again: " +
                                 lock.reason());
    }
    std::string reason;
    const auto manifest = place_.merge(entries_, reason);
    if (!manifest) {
      report_.problems.push_back("the manifest was not written: " + reason);
      return;
    }
    write_manifest(place_.manifest_path(), *manifest);
    if (!options_.write_manifest.empty()) write_manifest(options_.write_manifest, *manifest);
  }

  void write_manifest(const std::string& path, const cache::Manifest& manifest) {
    std::string reason;
    if (place_.write_manifest(path, manifest, reason)) {
      report_.manifests.push_back(path);
    } else {
      report_.problems.push_back("the manifest was not written: " + reason);
    }
  }

  const WarmOptions& options_;
  WarmPlace& place_;
  Wanted wanted_;
  std::vector<Spec> missing_;
  std::size_t came_meanwhile_ = 0;
  Entries entries_;
  WarmReport report_;
};

int list(const Wanted& wanted, bool json) {
  if (json) {
    nlohmann::ordered_json list = {{"dropped", wanted.dropped}, {"first_dropped", wanted.first_dropped}};
    list["specs"] = nlohmann::ordered_json::array();
    for (const Spec& spec : wanted.specs) list["specs"].push_back(nlohmann::ordered_json::parse(to_json(spec)));
    fmt::print("{}\n", list.dump(2));
    return kExitOk;
  }
  for (const Spec& spec : wanted.specs) fmt::print("{}\n", describe(spec));
  fmt::print("{} kernels; nothing was compiled\n", wanted.specs.size());
  if (wanted.dropped > 0) {
    fmt::print("{} combinations dropped, without a kernel; the first: {}\n", wanted.dropped, wanted.first_dropped);
  }
  return kExitOk;
}

/// It will be replaced, and nobody wants that of a device or a folder.
void check_is_file(const char* flag, const std::string& path) {
  std::error_code none;
  const std::filesystem::file_status status = std::filesystem::symlink_status(path, none);
  if (path.empty() || !std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) return;
  throw UsageError(
      fmt::format("{}: {} given, which is no regular file, allowed: a file, which is replaced", flag, path));
}

int run(const WarmOptions& options) {
  if (options.check && options.dry_run) throw UsageError("--check: given with --dry-run, allowed: one of the two");
  if (options.check) return check_warm(options);
  Wanted wanted = options.request.wanted();
  if (options.dry_run) return list(wanted, options.json);
  check_is_file("--write-manifest", options.write_manifest);
  WarmPlace place(Env::from_process(), options.output);
  const WarmReport report = Warming(options, place, std::move(wanted)).run();
  fmt::print("{}", options.json ? report.to_json() : report.to_text());
  return report.exit_code();
}

}  // namespace

WarmOptions::WarmOptions(CLI::App& app) : request(app) {
  app.add_option("-o,--output", output, "A directory to ship, which ALLNORM_PREBUILT_DIRS names; default: the cache")
      ->type_name("DIR");
  app.add_option("--write-manifest", write_manifest, "A copy of the manifest, which is always in the directory itself")
      ->type_name("FILE");
  add_integer(app, "--workers", workers, 1, kMaxWorkers, "Processes, default as many as CPUs, at most 16");
  app.add_flag("--check", check,
               "Compile nothing: compare the directory with its manifest, and with what other flags ask for");
  app.add_flag("-n,--dry-run", dry_run, "Compile nothing: list the kernels");
  app.add_flag("-v,--verbose", verbose, "A line on stderr for each kernel");
  app.add_flag("--json", json, "Print JSON");
}

Run add_warm(CLI::App& app) {
  add_notes(app, kNotes);
  const auto options = std::make_shared<WarmOptions>(app);
  return [options] { return run(*options); };
}

}  // namespace allnorm::tools
