// `allnorm doctor`: environment variables, the cache folder, the tuned table.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include "allnorm/error.h"
#include "allnorm/version.h"
#include "cache/prebuilt_directory.h"
#include "dispatch/json_tree.h"
#include "dispatch/table_search.h"
#include "doctor.h"
#include "jit/embedded.h"
#include "text.h"

extern char** environ;

namespace allnorm::tools {
namespace {

namespace fs = std::filesystem;

const char* read_variable(const char* name) { return ::secure_getenv(name); }

/// The variables whose values are not allowed, each found by reading it alone.
std::set<std::string> find_invalid(Findings& findings) {
  std::set<std::string> invalid;
  for (const Env::Variable& variable : Env::variables()) {
    const std::string only = variable.name;
    try {
      Env::parse([&](const char* name) { return only == name ? read_variable(name) : nullptr; });
    } catch (const Error& error) {
      invalid.insert(only);
      findings.add(Status::kFail, "environment", error.what(), variable.description);
    }
  }
  return invalid;
}

void list_set_variables(const std::set<std::string>& invalid, Findings& findings) {
  // Everybody has these; they are no news.
  const std::set<std::string> usual = {"HOME", "PATH"};
  for (const Env::Variable& variable : Env::variables()) {
    const char* const value = read_variable(variable.name);
    if (value == nullptr || *value == '\0' || invalid.contains(variable.name) || usual.contains(variable.name))
      continue;
    findings.add(Status::kInfo, "environment", fmt::format("{}={}", variable.name, value));
  }
}

void flag_unknown(Findings& findings) {
  constexpr std::string_view kOurs = "ALLNORM_";
  std::vector<std::string> known;
  for (const Env::Variable& variable : Env::variables()) known.emplace_back(variable.name);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name(*entry, std::strcspn(*entry, "="));
    if (!name.starts_with(kOurs) || std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string meant = nearest(name, known);
    findings.add(Status::kWarn, "environment", fmt::format("{} is set, and nothing reads it", name),
                 meant.empty() ? "unset it" : fmt::format("did you mean {}?", meant));
  }
}

struct CacheContent {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

CacheContent count_entries(const std::string& folder) {
  CacheContent content;
  std::error_code error;
  fs::recursive_directory_iterator items(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && items != fs::recursive_directory_iterator(); items.increment(error)) {
    std::error_code of_item;
    if (items->path().extension() != ".bin" || !items->is_regular_file(of_item)) continue;
    content.entries++;
    content.bytes += items->file_size(of_item);
  }
  return content;
}

/// The folder that a cache would be made in.
fs::path existing_parent(fs::path path) {
  std::error_code error;
  while (!path.empty() && path != path.root_path() && !fs::exists(path, error)) path = path.parent_path();
  return path;
}

void examine_cache_folder(const std::string& folder, Findings& findings) {
  const auto slow = [](const char* what) { return fmt::format("{}; without it every process compiles anew", what); };
  struct stat status{};
  if (stat(folder.c_str(), &status) != 0) {
    const fs::path parent = existing_parent(folder);
    if (access(parent.c_str(), W_OK | X_OK) == 0) {
      findings.add(Status::kOk, "cache", fmt::format("{} does not exist yet, and can be made", folder));
    } else {
      findings.add(Status::kWarn, "cache",
                   fmt::format("{} does not exist, and {} is not writable", folder, parent.string()),
                   slow("name a folder of yours in ALLNORM_CACHE_DIR"));
    }
    return;
  }
  const CacheContent content = count_entries(folder);
  const std::string summary = fmt::format("{}, {} kernel{}, {}", folder, content.entries,
                                          content.entries == 1 ? "" : "s", format_bytes(content.bytes));
  if (!S_ISDIR(status.st_mode)) {
    findings.add(Status::kWarn, "cache", fmt::format("{} is not a folder", folder), slow("remove it"));
  } else if ((status.st_uid != geteuid() && status.st_uid != 0) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    findings.add(Status::kWarn, "cache",
                 fmt::format("{}: others may write to it (mode {:o})", summary, status.st_mode & 07777),
                 fmt::format("chmod go-w {}, and see that it is yours", folder));
  } else if (access(folder.c_str(), W_OK | X_OK) != 0) {
    findings.add(Status::kWarn, "cache", fmt::format("{}: not writable", summary),
                 slow("give yourself write permission, or set ALLNORM_CACHE_DIR"));
  } else {
    const bool is_private = (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    findings.add(Status::kOk, "cache",
                 fmt::format("{}, writable{}", summary, is_private ? ", private" : ", others may read it"));
  }
}

void examine_table_of(const Env& env, const std::string& device, const std::string& kernel_digest, Findings& findings) {
  TablePlaces places;
  places.environment_path = env.table_path;
  if (!env.config_dir.empty()) places.user_folder = env.config_dir + "/tables";
  places.embedded = embedded_tuned_tables();
  const FoundTable found = find_table(places, device, kernel_digest);
  for (const std::string& warning : found.warnings) findings.add_error(Status::kWarn, "tuned table", warning);
  for (const std::string& note : found.notes) findings.add(Status::kInfo, "tuned table", note);
  if (!found.table) {
    findings.add(Status::kInfo, "tuned table", fmt::format("none for {}: a cost model chooses strategies", device));
    return;
  }
  for (const auto& [words, made, entries] : found.sources) {
    const bool matches = made.kernel_digest == kernel_digest;
    findings.add(matches ? Status::kOk : Status::kInfo, "tuned table",
                 fmt::format("{}, for {}, of {}, {} entries, made for {} kernels", words, made.device, made.date,
                             entries, matches ? "these" : "other"));
  }
}

void examine_prebuilt(const std::string& directory, Findings& findings) {
  constexpr const char* kAdvice = "make it with `allnorm warm --output DIRECTORY`, or unset ALLNORM_PREBUILT_DIRS";
  const cache::ManifestRead read = cache::read_manifest(directory, cache::FileSystem::real());
  if (read.status != cache::ManifestRead::Status::kOk) {
    findings.add(Status::kFail, "prebuilt kernels", read.reason, kAdvice);
    return;
  }
  const cache::Manifest& manifest = read.manifest;
  const bool same_library = manifest.library == ALLNORM_VERSION_STRING;
  findings.add(
      same_library ? Status::kOk : Status::kWarn, "prebuilt kernels",
      fmt::format("{}: {} kernels, made by AllNorm {}", directory, manifest.entries.size(),
                  printable(manifest.library)),
      same_library ? "" : "this is AllNorm " ALLNORM_VERSION_STRING ", which looks for others; make them again");
}

}  // namespace

Env examine_environment(Findings& findings) {
  const std::set<std::string> invalid = find_invalid(findings);
  flag_unknown(findings);
  list_set_variables(invalid, findings);
  return Env::parse([&](const char* name) { return invalid.contains(name) ? nullptr : read_variable(name); });
}

void examine_cache(const Env& env, Findings& findings) {
  if (const std::string why = Env::why_not_kept(env.cache); !why.empty()) {
    const bool is_off = env.cache.mode == cache::Mode::kOff || env.cache.directory.empty();
    findings.add(Status::kInfo, "cache", (is_off ? "off: " : "nothing is written to it: ") + why,
                 env.cache.directory.empty() ? "set ALLNORM_CACHE_DIR to keep compiled kernels" : "");
  }
  if (env.cache.mode == cache::Mode::kOff) return;
  for (const std::string& directory : env.cache.prebuilt_directories) examine_prebuilt(directory, findings);
  if (!env.cache.directory.empty()) examine_cache_folder(env.cache.directory, findings);
}

void examine_table(const Env& env, const std::vector<Gpu>& gpus, const std::string& kernel_digest, Findings& findings) {
  std::set<std::string> names;
  for (const Gpu& gpu : gpus) names.insert(gpu.name);
  // Without a GPU no table fits; a named one that cannot be read is still found out.
  if (names.empty()) {
    if (env.table_path.empty()) {
      findings.add(Status::kInfo, "tuned table",
                   fmt::format("{} built in; which fits depends on the GPU", embedded_tuned_tables().size()));
      return;
    }
    names.insert("no GPU");
  }
  for (const std::string& name : names) {
    try {
      examine_table_of(env, name, kernel_digest, findings);
    } catch (const Error& error) {
      findings.add(Status::kFail, "tuned table", error.what(), "correct the file, or unset ALLNORM_TABLE");
    }
  }
}

}  // namespace allnorm::tools
