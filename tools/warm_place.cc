#include "warm_place.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>

#include "allnorm/error.h"
#include "allnorm/version.h"
#include "cache/entry.h"
#include "cache/sha256.h"
#include "command.h"
#include "dispatch/spec_text.h"

namespace allnorm::tools {
namespace {

constexpr mode_t kFileMode = 0644;
constexpr mode_t kFolderMode = 0755;

/// What the kernels would be found in, recorded in or dumped to is not for this command.
Env own_env(Env env, bool is_output) {
  env.cache.prebuilt_directories.clear();
  env.record_specs.clear();
  env.dump = {};
  if (is_output) env.cache.mode = cache::Mode::kOff;
  return env;
}

std::string absolute(const std::string& path) {
  std::string whole = std::filesystem::absolute(path).lexically_normal().string();
  while (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  return whole;
}

/// Equal to what is in the file: an entry has one encoding.
cache::ManifestEntry describe_entry(const Spec& spec, const cache::Entry& entry) {
  const std::string bytes = cache::encode(entry);
  return {to_string(spec.target), entry.key, static_cast<std::int64_t>(bytes.size()),
          cache::to_hex(cache::sha256(bytes)), to_json(spec)};
}

}  // namespace

int SharedFiles::sys_open(const char* path, int flags, mode_t mode) {
  const int fd = FileSystem::sys_open(path, flags, mode);
  if (fd >= 0 && (flags & O_CREAT) != 0) ::fchmod(fd, kFileMode);
  return fd;
}

int SharedFiles::sys_mkdir(const char* path, mode_t mode) {
  const int result = FileSystem::sys_mkdir(path, mode);
  if (result == 0) ::chmod(path, kFolderMode);
  return result;
}

WarmPlace::WarmPlace(Env env, const std::string& output)
    : env_(own_env(std::move(env), !output.empty())),
      is_output_(!output.empty()),
      directory_(is_output_ ? absolute(output) : env_.cache.directory),
      store_(directory_, files(), cache::StoreOptions{false, is_output_ ? cache::kNoLimit : env_.cache.max_bytes}),
      compiler_(env_, files()) {
  if (directory_.empty()) {
    throw UsageError(
        "--output: not given, and there is no cache: none of ALLNORM_CACHE_DIR, XDG_CACHE_HOME and HOME is "
        "an absolute path");
  }
}

void WarmPlace::prepare() {
  if (!is_output_ && env_.cache.mode != cache::Mode::kNormal) {
    throw UsageError("--output: not given, and ALLNORM_CACHE forbids to keep kernels in the cache, allowed: normal");
  }
  std::string reason;
  if (!files().make_private_directories(directory_, reason)) {
    throw UsageError(fmt::format("{}: {}", is_output_ ? "--output" : "the cache", reason));
  }
}

std::string WarmPlace::key(const Spec& spec) {
  return is_output_ ? compiler_.prebuilt_key(spec) : compiler_.key(spec).hex;
}

std::optional<cache::ManifestEntry> WarmPlace::find(const Spec& spec) {
  std::string reason;  // What is not valid is made again.
  const auto entry = store_.get(to_string(spec.target), key(spec), reason);
  if (!entry) return std::nullopt;
  return describe_entry(spec, *entry);
}

bool WarmPlace::has_valid(const Spec& spec) {
  std::string reason;
  return cache::Store(directory_, files(), {true}).get(to_string(spec.target), key(spec), reason).has_value();
}

MadeKernel WarmPlace::make(const Spec& spec) {
  const CompiledKernel kernel = compiler_.compile(spec);
  std::string reason;
  if (is_output_) {
    const cache::Entry entry = compiler_.prebuilt_entry(spec, kernel);
    if (!store_.put(to_string(spec.target), entry, reason)) throw std::runtime_error(reason);
    return {describe_entry(spec, entry), kernel.seconds, true};
  }
  auto kept = find(spec);
  if (!kept) throw std::runtime_error("it was compiled and could not be kept in " + directory_);
  return {std::move(*kept), kernel.seconds, !kernel.from_disk_cache};
}

cache::ManifestRead WarmPlace::read_manifest() { return cache::read_manifest(directory_, files()); }

std::string WarmPlace::what_is_wrong(const cache::ManifestEntry& entry) {
  std::string reason;
  if (cache::read_manifest_entry(directory_, entry, files(), reason)) return {};
  return reason;
}

bool WarmPlace::is_gone(const cache::ManifestEntry& entry) {
  std::string reason;
  bool unreadable = false;
  return !cache::read_manifest_entry(directory_, entry, files(), reason, &unreadable) && !unreadable;
}

std::optional<cache::Manifest> WarmPlace::merge(
    const std::map<std::pair<std::string, std::string>, cache::ManifestEntry>& entries, std::string& reason) {
  cache::Manifest merged{ALLNORM_VERSION_STRING, {}};
  for (const auto& [place, entry] : entries) merged.entries.push_back(entry);
  const cache::ManifestRead before = read_manifest();
  if (before.status == cache::ManifestRead::Status::kUnreadable) {
    reason = before.reason + "; what else it names would be lost";
    return std::nullopt;
  }
  if (before.status == cache::ManifestRead::Status::kUnusable) {
    fmt::print(stderr, "allnorm: making a new manifest: {}\n", before.reason);
  }
  for (const cache::ManifestEntry& entry : before.manifest.entries) {
    if (!entries.contains({entry.target, entry.key}) && !is_gone(entry)) merged.entries.push_back(entry);
  }
  return merged;
}

bool WarmPlace::write_manifest(const std::string& path, const cache::Manifest& manifest, std::string& reason) {
  const std::string text = cache::to_json(manifest);
  const std::string whole = absolute(path);
  const cache::ReadResult before = files().read(whole, cache::Trust::kAnyOwner);
  if (before.status == cache::ReadResult::Status::kOk && before.bytes == text) return true;
  return files().publish(whole, text, reason);
}

}  // namespace allnorm::tools
