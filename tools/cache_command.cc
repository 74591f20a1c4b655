// `allnorm cache`: finds its subcommand; and what they share.
#include "cache_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "allnorm/error.h"
#include "dispatch/json_tree.h"
#include "options.h"

namespace allnorm::tools {

namespace fs = std::filesystem;

void add_directory(CLI::App& app, std::string& directory) {
  app.add_option("--directory", directory,
                 "The directory to look into: one with prebuilt kernels, or another cache; default: the user's cache")
      ->type_name("DIR");
}

CachePlace place_of(const Env& env, const std::string& given) {
  if (given.empty()) {
    if (env.cache.directory.empty()) {
      throw Error(ErrorCode::kInvalidEnvironment,
                  "there is no user's cache: none of ALLNORM_CACHE_DIR, XDG_CACHE_HOME and HOME says where it is; set "
                  "ALLNORM_CACHE_DIR, or give --directory");
    }
    return {env.cache.directory, false};
  }
  std::error_code error;
  if (!fs::is_directory(given, error)) refuse("--directory", "\"" + given + "\"", "a directory that exists");
  std::string directory = fs::absolute(given).lexically_normal().string();
  if (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  const bool has_manifest = fs::exists(fs::symlink_status(directory + "/" + std::string(cache::kManifestName), error));
  return {std::move(directory), has_manifest};
}

std::string describe(const CachePlace& place) {
  std::error_code error;
  return place.directory + (fs::exists(place.directory, error) ? "" : " (does not exist yet)");
}

const char* to_string(cache::Mode mode) noexcept {
  switch (mode) {
    case cache::Mode::kReadOnly: return "read-only";
    case cache::Mode::kRequireHit: return "require-hit";
    case cache::Mode::kOff: return "off";
    default: return "normal";
  }
}

std::string plain(std::string_view text) {
  constexpr std::size_t kPiece = 100;  // printable() shortens what is long
  std::string shown;
  for (std::size_t at = 0; at < text.size(); at += kPiece) shown += printable(text.substr(at, kPiece));
  return shown;
}

std::string count(std::size_t number, const char* noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string format_age(std::int64_t since) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  const std::int64_t age = ::time(nullptr) - since;
  if (age < kMinute) return "<1 min";
  if (age < kHour) return fmt::format("{} min", age / kMinute);
  if (age < 2 * kDay) return fmt::format("{} h", age / kHour);
  return fmt::format("{} days", age / kDay);
}

std::string short_key(const std::string& key) { return key.substr(0, 16); }

void print_reasons(const std::vector<std::string>& reasons) {
  std::fflush(stdout);
  for (const std::string& reason : reasons) fmt::print(stderr, "allnorm: {}\n", plain(reason));
}

void print_json(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
}

Run add_cache(CLI::App& app) {
  struct Subcommand {
    CLI::App* app;
    Run run;
  };
  const auto subcommands = std::make_shared<std::vector<Subcommand>>();
  const auto add = [&](const char* name, const char* what, Run (*declare)(CLI::App&)) {
    CLI::App* const sub = app.add_subcommand(name, what);
    subcommands->push_back({sub, declare(*sub)});
  };
  add("list", "The kernels, a line each", add_cache_list);
  add("stat", "How many there are, how large, how full the cache is", add_cache_stat);
  add("verify", "Read every kernel as the library would, and say which are bad", add_cache_verify);
  add("prune", "Remove what was not used for longest", add_cache_prune);
  add("extract", "Write one kernel's binary to a file, to disassemble it", add_cache_extract);
  add("explain", "Say whether a call would find a kernel, and if not, why", add_cache_explain);
  add_notes(
      app,
      "Needs no GPU, no NVRTC and no compiler. list, stat, verify, extract and explain change nothing in a cache.\n\n"
      "Exit codes: 0 done, and the answer is yes; 1 the answer is no; 2 wrong options; 3 there is no cache.\n\n"
      "Examples:\n"
      "  allnorm cache list\n"
      "  allnorm cache explain --hidden 7168 --world 8 --quant fp8\n"
      "  allnorm cache prune --max-mb 100\n"
      "  allnorm cache explain --help         the options of one, with examples");
  return [subcommands] {
    std::string names;
    for (const Subcommand& s : *subcommands) {
      if (s.app->parsed()) return s.run();
      names += (names.empty() ? "" : ", ") + s.app->get_name();
    }
    refuse("cache", "no subcommand", names);
  };
}

}  // namespace allnorm::tools
