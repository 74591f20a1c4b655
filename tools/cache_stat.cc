// `allnorm cache stat`: how many kernels there are, how large, how full the cache is.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cache_command.h"
#include "options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

struct Sum {
  std::size_t kernels = 0;
  std::int64_t bytes = 0;
  std::int64_t oldest = 0;
  std::int64_t newest = 0;

  void add(const StoredKernel& kernel) {
    oldest = kernels == 0 ? kernel.last_use : std::min(oldest, kernel.last_use);
    newest = std::max(newest, kernel.last_use);
    kernels++;
    bytes += kernel.bytes;
  }
  std::string to_string() const {
    return fmt::format("{}, {}", count(kernels, "kernel"), format_bytes(static_cast<std::uint64_t>(bytes)));
  }
};

struct Statistics {
  Sum all;
  std::map<std::string, Sum> by_target;
};

Statistics sum_up(const CacheContents& contents) {
  Statistics statistics;
  for (const StoredKernel& kernel : contents.kernels) {
    statistics.all.add(kernel);
    statistics.by_target[kernel.target].add(kernel);
  }
  return statistics;
}

nlohmann::ordered_json to_json(const CacheContents& contents) {
  const Statistics statistics = sum_up(contents);
  nlohmann::ordered_json json = {{"directory", contents.place.directory},
                                 {"kernels", statistics.all.kernels},
                                 {"bytes", statistics.all.bytes},
                                 {"targets", nlohmann::ordered_json::object()}};
  for (const auto& [target, sum] : statistics.by_target) {
    json["targets"][target] = {{"kernels", sum.kernels}, {"bytes", sum.bytes}};
  }
  const auto time = [&](std::int64_t seconds) {
    return statistics.all.kernels == 0 ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(seconds);
  };
  json["oldest_use"] = time(statistics.all.oldest);
  json["newest_use"] = time(statistics.all.newest);
  json["temporary_files"] = contents.temporary.size();
  json["foreign_files"] = contents.foreign.size();
  json["reasons"] = contents.reasons;
  return json;
}

std::string describe_limit(std::int64_t bytes, std::int64_t limit) {
  if (limit == cache::kNoLimit) return "none (ALLNORM_CACHE_MAX_MB=0)";
  return fmt::format("{}, {:.1f}% full (ALLNORM_CACHE_MAX_MB)", format_bytes(static_cast<std::uint64_t>(limit)),
                     100.0 * static_cast<double>(bytes) / static_cast<double>(limit));
}

void add_rows(TextTable& table, const CacheContents& contents) {
  const Statistics statistics = sum_up(contents);
  table.add({"directory", describe(contents.place)});
  table.add({"kernels", statistics.all.to_string()});
  for (const auto& [target, sum] : statistics.by_target) table.add({"  " + plain(target), sum.to_string()});
  if (statistics.all.kernels > 0) {
    table.add({"last used",
               fmt::format("{} ago to {} ago", format_age(statistics.all.oldest), format_age(statistics.all.newest))});
  }
  if (!contents.temporary.empty()) {
    table.add({"temporary", fmt::format("{}: `allnorm cache prune` removes those that nobody writes",
                                        count(contents.temporary.size(), "file"))});
  }
  if (!contents.foreign.empty()) {
    table.add(
        {"foreign", fmt::format("{}: `allnorm cache verify` names them", count(contents.foreign.size(), "file"))});
  }
}

int run(bool as_json) {
  const Env env = Env::from_process();
  TextTable table({{}, {}});
  nlohmann::ordered_json json = {{"mode", to_string(env.cache.mode)}};
  const std::string why_not_kept = Env::why_not_kept(env.cache);
  table.add({"mode", to_string(env.cache.mode) + (why_not_kept.empty() ? "" : ": nothing is kept, " + why_not_kept)});
  std::vector<std::string> reasons;

  const auto examine = [&](const CachePlace& place) {
    const CacheContents contents = list_contents(place);
    add_rows(table, contents);
    reasons.insert(reasons.end(), contents.reasons.begin(), contents.reasons.end());
    return to_json(contents);
  };
  if (env.cache.directory.empty()) {
    table.add({"directory", "none"});
    json["user"] = nullptr;
  } else {
    const nlohmann::ordered_json& user = json["user"] = examine({env.cache.directory, false});
    const std::int64_t limit = env.cache.max_bytes;
    table.add({"limit", describe_limit(user["bytes"].get<std::int64_t>(), limit)});
    json["user"]["limit_bytes"] =
        limit == cache::kNoLimit ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(limit);
  }
  json["prebuilt"] = nlohmann::ordered_json::array();
  for (const std::string& directory : env.cache.prebuilt_directories) {
    table.add({"", ""});
    table.add({"prebuilt kernels of ALLNORM_PREBUILT_DIRS", ""});
    json["prebuilt"].push_back(examine({directory, true}));
  }
  if (as_json) {
    print_json(json);
  } else {
    fmt::print("{}", table.to_string());
    print_reasons(reasons);
  }
  return reasons.empty() ? kExitOk : kExitFailed;
}

}  // namespace

Run add_cache_stat(CLI::App& app) {
  const auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "Print JSON");
  add_notes(app,
            "Looks at names and sizes and reads no kernel: `allnorm cache verify` does.\n\n"
            "Exit codes: 0 all was read; 1 a folder or a manifest could not be; 3 the environment is wrong.\n\n"
            "Examples:\n"
            "  allnorm cache stat\n"
            "  ALLNORM_CACHE_MAX_MB=200 allnorm cache stat\n"
            "  allnorm cache stat --json | jq .user.bytes");
  return [json] { return run(*json); };
}

}  // namespace allnorm::tools
