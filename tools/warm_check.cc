// `allnorm warm --check`: a directory against a manifest, and against the kernels that are asked for.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command.h"
#include "env/env.h"
#include "text.h"
#include "warm.h"
#include "warm_files.h"
#include "warm_place.h"

namespace allnorm::tools {
namespace {

struct Check {
  std::size_t entries = 0;
  std::size_t kernels = 0;
  std::int64_t bytes = 0;
  std::vector<std::string> problems;
};

void check_entries(WarmPlace& place, const cache::Manifest& manifest, Check& check) {
  for (const cache::ManifestEntry& entry : manifest.entries) {
    check.entries++;
    check.bytes += entry.bytes;
    if (std::string wrong = place.what_is_wrong(entry); !wrong.empty()) check.problems.push_back(std::move(wrong));
  }
}

/// A program finds a prebuilt kernel by the manifest that lies there, and one in the cache by its file.
void check_kernels(WarmPlace& place, const cache::Manifest* manifest, const std::vector<Spec>& specs, Check& check) {
  for (const Spec& spec : specs) {
    check.kernels++;
    const std::string key = place.key(spec);
    const bool is_named = manifest != nullptr && manifest->find(to_string(spec.target), key) != nullptr;
    if (is_named || (!place.is_output() && place.has_valid(spec))) continue;
    check.problems.push_back(
        fmt::format("{} has no kernel for this version of allnorm: {}", place.directory(), describe(spec)));
  }
}

Check run_check(const WarmOptions& options, WarmPlace& place) {
  Check check;
  const cache::ManifestRead read = place.read_manifest();
  const cache::Manifest* own = read.status == cache::ManifestRead::Status::kOk ? &read.manifest : nullptr;
  std::optional<cache::Manifest> named;
  std::vector<Spec> specs;
  if (options.request.is_given()) specs = options.request.wanted().specs;
  if (!options.request.manifest().empty() && !options.request.targets_given()) {
    named = read_specs("--manifest", options.request.manifest()).manifest;
  }
  if (own != nullptr) {
    check_entries(place, *own, check);
  } else if (read.status != cache::ManifestRead::Status::kAbsent || place.is_output() || specs.empty()) {
    check.problems.push_back(read.reason);
  }
  if (named) {
    // Files that the manifest there names in the same words were looked at.
    cache::Manifest others{named->library, {}};
    for (const cache::ManifestEntry& entry : named->entries) {
      const cache::ManifestEntry* same = own != nullptr ? own->find(entry.target, entry.key) : nullptr;
      if (same != nullptr && same->bytes == entry.bytes && same->sha256 == entry.sha256) continue;
      others.entries.push_back(entry);
    }
    check_entries(place, others, check);
  } else {
    check_kernels(place, own, specs, check);
  }
  return check;
}

}  // namespace

int check_warm(const WarmOptions& options) {
  WarmPlace place(Env::from_process(), options.output);
  const Check check = run_check(options, place);
  const bool good = check.problems.empty();
  if (options.json) {
    const nlohmann::ordered_json json = {{"directory", place.directory()}, {"good", good},
                                         {"entries", check.entries},       {"bytes", check.bytes},
                                         {"kernels", check.kernels},       {"problems", check.problems}};
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return good ? kExitOk : kExitFailed;
  }
  for (const std::string& problem : check.problems) fmt::print("wrong: {}\n", problem);
  const std::string asked = check.kernels == 0 ? "" : fmt::format(", {} kernels looked up", check.kernels);
  fmt::print("{}: {} entries of the manifest checked, {}{}; {}\n", place.directory(), check.entries,
             format_bytes(static_cast<std::uint64_t>(check.bytes)), asked,
             good ? "all is there and as it should be" : fmt::format("{} wrong", check.problems.size()));
  return good ? kExitOk : kExitFailed;
}

}  // namespace allnorm::tools
