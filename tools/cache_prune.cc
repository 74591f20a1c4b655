// `allnorm cache prune`: removes from the user's cache what was not used for longest.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cache/listing.h"
#include "cache/prune.h"
#include "cache_command.h"
#include "options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kMaxMegabytes = 1000000;

struct Options {
  std::int64_t max_megabytes = 0;  ///< 0: as the environment says.
  bool all = false;
  bool json = false;
};

std::string size_of(std::int64_t bytes) { return format_bytes(static_cast<std::uint64_t>(bytes)); }

std::string to_text(const CachePlace& place, const cache::PruneResult& result, std::int64_t limit, bool all) {
  std::string text =
      fmt::format("{} removed, {}", count(result.entries_removed, "kernel"), size_of(result.bytes_removed));
  if (result.temporary_removed > 0) text += "; " + count(result.temporary_removed, "temporary file") + " removed";
  text += fmt::format("\n{} left, {}, in {}", count(result.entries_left, "kernel"), size_of(result.bytes_left),
                      describe(place));
  if (!all) text += limit == cache::kNoLimit ? "; there is no limit" : "; the limit is " + size_of(limit);
  return text + "\n";
}

nlohmann::ordered_json to_json(const CachePlace& place, const cache::PruneResult& result, std::int64_t limit) {
  return {{"directory", place.directory},
          {"limit_bytes", limit == cache::kNoLimit ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(limit)},
          {"kernels_removed", result.entries_removed},
          {"bytes_removed", result.bytes_removed},
          {"temporary_files_removed", result.temporary_removed},
          {"kernels_left", result.entries_left},
          {"bytes_left", result.bytes_left},
          {"reasons", result.reasons}};
}

int run(const Options& options) {
  const Env env = Env::from_process();
  const CachePlace place = place_of(env, "");
  const std::int64_t limit = options.all                 ? 0
                             : options.max_megabytes > 0 ? options.max_megabytes * kMiB
                                                         : env.cache.max_bytes;
  // Less than nothing: entries cut short to no bytes go too.
  const std::int64_t target = options.all ? -1 : limit;
  const cache::PruneResult result = cache::prune(place.directory, target, target, cache::FileSystem::real());
  if (options.json) {
    print_json(to_json(place, result, limit));
  } else {
    fmt::print("{}", to_text(place, result, limit, options.all));
    print_reasons(result.reasons);
  }
  // A temporary file that is being written is a reason too, and nothing wrong.
  std::vector<std::string> unreadable;
  cache::list_files(place.directory, cache::FileSystem::real(), unreadable);
  const bool reached = options.all ? result.entries_left == 0 : result.bytes_left <= limit;
  return reached && unreadable.empty() ? kExitOk : kExitFailed;
}

}  // namespace

Run add_cache_prune(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::Option* const max = add_integer(app, "--max-mb", options->max_megabytes, 1, kMaxMegabytes,
                                       "MiB that may stay, default ALLNORM_CACHE_MAX_MB");
  CLI::Option* const all = app.add_flag("--all", options->all, "Remove all kernels");
  app.add_flag("--json", options->json, "Print JSON");
  add_notes(app,
            "The kernels that were not used for longest go first, as they do by themselves when the cache is full; and "
            "temporary files that nobody writes any more. Other files stay. Programs that run keep what they have "
            "loaded, and nothing breaks: what is called for again is compiled again.\n\n"
            "Exit codes: 0 no more is left than may be; 1 there is; 2 wrong options; 3 there is no cache.\n\n"
            "Examples:\n"
            "  allnorm cache prune --max-mb 100\n"
            "  allnorm cache prune --all");
  return [options, max, all] {
    if (max->count() > 0 && all->count() > 0) refuse("--max-mb", "with --all", "one of the two");
    return run(*options);
  };
}

}  // namespace allnorm::tools
