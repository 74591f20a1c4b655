// `allnorm cache verify`: reads every kernel as the library would, and says which it would not use.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cache_command.h"
#include "options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

struct Options {
  std::string directory;
  bool remove = false;
  bool json = false;
};

/// A kernel that the library would not use.
struct Bad {
  const StoredKernel* kernel;
  bool removed = false;
  std::string advice;
};

std::string advice_for(const CachePlace& place, const StoredKernel& kernel) {
  if (place.prebuilt) return fmt::format("make the directory again: `allnorm warm --output {}`", place.directory);
  if (kernel.disk_has_failed) return "see to the disk, or to permissions; it is not removed: it may be good";
  return "nothing: it is compiled again when called for; --remove removes it";
}

std::vector<Bad> find_bad(const CacheContents& contents, bool remove) {
  std::vector<Bad> bad;
  for (const StoredKernel& kernel : contents.kernels) {
    if (kernel.problem.empty()) continue;
    Bad& found = bad.emplace_back(Bad{&kernel, false, advice_for(contents.place, kernel)});
    if (!remove || kernel.disk_has_failed) continue;
    std::string reason;
    found.removed = cache::FileSystem::real().remove_if_unchanged(kernel.path, kernel.id, reason);
    found.advice = found.removed ? "removed" : "not removed: " + reason;
  }
  return bad;
}

/// Not bad, but not of use either.
std::string describe_foreign(const CacheContents& contents) {
  if (contents.foreign.empty()) return "";
  const char* const what = contents.place.prebuilt ? "not in the manifest, and so not used"
                                                   : "not put there by AllNorm, and never read or removed by it";
  std::string text = fmt::format("{} {}:\n", count(contents.foreign.size(), "file"), what);
  for (const std::string& path : contents.foreign) text += fmt::format("  {}\n", plain(path));
  return text;
}

std::string to_text(const CacheContents& contents, const std::vector<Bad>& bad) {
  std::string text;
  if (!bad.empty()) {
    constexpr std::size_t kFirstColumns = 29;
    constexpr std::size_t kLeast = 60;
    const std::size_t width = std::max(output_width(), kLeast + kFirstColumns) - kFirstColumns;
    TextTable table({{}, {}, {'l', width / 2}, {'l', width - width / 2}});
    table.add({"target", "key", "what is wrong", "what to do"});
    for (const Bad& b : bad) {
      table.add({plain(b.kernel->target), short_key(b.kernel->key), plain(b.kernel->problem), plain(b.advice)});
    }
    text = table.to_string() + "\n";
  }
  text += describe_foreign(contents);
  if (!contents.temporary.empty()) {
    text += fmt::format("{}: `allnorm cache prune` removes those that nobody writes\n",
                        count(contents.temporary.size(), "temporary file"));
  }
  const auto removed = std::count_if(bad.begin(), bad.end(), [](const Bad& b) { return b.removed; });
  text += fmt::format("{} read, {} bad{}, in {}\n", count(contents.kernels.size(), "kernel"), bad.size(),
                      removed == 0 ? "" : fmt::format(" ({} removed)", removed), describe(contents.place));
  return text;
}

nlohmann::ordered_json to_json(const CacheContents& contents, const std::vector<Bad>& bad) {
  nlohmann::ordered_json json = {{"directory", contents.place.directory},
                                 {"prebuilt", contents.place.prebuilt},
                                 {"kernels", contents.kernels.size()},
                                 {"bad", nlohmann::ordered_json::array()},
                                 {"foreign_files", contents.foreign},
                                 {"temporary_files", contents.temporary},
                                 {"reasons", contents.reasons}};
  for (const Bad& b : bad) {
    json["bad"].push_back(nlohmann::ordered_json{{"target", b.kernel->target},
                                                 {"key", b.kernel->key},
                                                 {"path", b.kernel->path},
                                                 {"problem", b.kernel->problem},
                                                 {"removed", b.removed},
                                                 {"advice", b.advice}});
  }
  return json;
}

int run(const Options& options) {
  const Env env = Env::from_process();
  const CachePlace place = place_of(env, options.directory);
  if (options.remove && (place.prebuilt || place.directory != env.cache.directory)) {
    refuse("--remove", fmt::format("with --directory {}", options.directory),
           "with the user's cache alone; ALLNORM_CACHE_DIR says which it is");
  }
  const CacheContents contents = read_contents(place);
  const std::vector<Bad> bad = find_bad(contents, options.remove);
  if (options.json) {
    print_json(to_json(contents, bad));
  } else {
    fmt::print("{}", to_text(contents, bad));
    print_reasons(contents.reasons);
  }
  return bad.empty() && contents.reasons.empty() ? kExitOk : kExitFailed;
}

}  // namespace

Run add_cache_verify(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_directory(app, options->directory);
  app.add_flag("--remove", options->remove, "Remove what is bad; of the user's cache only");
  app.add_flag("--json", options->json, "Print JSON");
  add_notes(
      app,
      "The user's cache: a regular file of yours or root's that nobody else may write, whole by its digest, of the "
      "key that its name says. Prebuilt kernels: of the size and digest that the manifest says, by any owner.\n"
      "No bad kernel is ever loaded: one in the user's cache is compiled again. Files that are no kernels are "
      "named, and are not bad.\n\n"
      "Exit codes: 0 all are good; 1 bad ones were found (also when they were removed), or a folder or the manifest "
      "cannot be read; 2 wrong options; 3 there is no cache.\n\n"
      "Examples:\n"
      "  allnorm cache verify\n"
      "  allnorm cache verify --remove\n"
      "  allnorm cache verify --directory /opt/kernels --json");
  return [options] { return run(*options); };
}

}  // namespace allnorm::tools
