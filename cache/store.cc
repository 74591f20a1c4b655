#include "cache/store.h"

#include <ctime>
#include <exception>
#include <utility>

#include "cache/listing.h"

namespace allnorm::cache {
namespace {

/// How often a file's time is renewed: reads of a cache should be reads.
constexpr std::int64_t kUseSeconds = 3600;
/// A put prunes when an eighth of the limit was put since; and keeps a tenth free, so that the next does not.
constexpr std::int64_t kPutsAPrune = 8;

}  // namespace

Store::Store(std::string directory, FileSystem& files, const StoreOptions& options)
    : directory_(std::move(directory)),
      files_(files),
      options_(options),
      put_since_prune_(options.max_bytes / kPutsAPrune) {}

std::string Store::path_of(std::string_view target, std::string_view key) const {
  return entry_path(directory_, target, key);
}

void Store::note_use(const std::string& path, const FileId& id) const {
  if (options_.read_only || id.mtime_seconds + kUseSeconds > ::time(nullptr)) return;
  std::string reason;  // What cannot be noted is taken for unused.
  files_.touch(path, reason);
}

void Store::make_room(std::int64_t bytes) const {
  const std::int64_t enough = options_.max_bytes / kPutsAPrune;
  if (put_since_prune_.fetch_add(bytes) + bytes < enough) return;
  if (put_since_prune_.exchange(0) < enough) return;  // another thread does it
  prune(directory_, options_.max_bytes, options_.max_bytes - options_.max_bytes / 10, files_);
}

std::optional<Entry> Store::get(std::string_view target, std::string_view key, std::string& reason) const noexcept try {
  reason.clear();
  const std::string path = path_of(target, key);
  if (path.empty()) {
    reason = "not a target and a key";
    return std::nullopt;
  }
  const ReadResult file = files_.read(path);
  switch (file.status) {
    case ReadResult::Status::kOk:
      if (auto entry = decode(file.bytes, key, reason)) {
        note_use(path, file.id);
        return entry;
      }
      reason = "will not use " + path + ": " + reason;
      break;
    case ReadResult::Status::kUntrusted: reason = file.reason; break;
    default:  // Nothing there, or the disk's trouble and not the entry's: nothing to remove.
      reason = file.reason;
      return std::nullopt;
  }
  std::string kept;
  if (!options_.read_only && !files_.remove_if_unchanged(path, file.id, kept)) reason += " (" + kept + ")";
  return std::nullopt;
} catch (const std::exception& error) {
  reason = error.what();
  return std::nullopt;
}

bool Store::put(std::string_view target, const Entry& entry, std::string& reason) const noexcept try {
  reason.clear();
  const std::string path = path_of(target, entry.key);
  if (path.empty()) {
    reason = "not a target and a key";
    return false;
  }
  if (options_.read_only) {
    reason = directory_ + " is used read-only";
    return false;
  }
  const std::string bytes = encode(entry);
  if (!files_.make_private_directories(path.substr(0, path.find_last_of('/')), reason) ||
      !files_.publish(path, bytes, reason)) {
    return false;
  }
  make_room(static_cast<std::int64_t>(bytes.size()));
  return true;
} catch (const std::exception& error) {
  reason = error.what();
  return false;
}

}  // namespace allnorm::cache
