#include "cache/store.h"

#include <exception>
#include <utility>

#include "cache/key.h"

namespace allnorm::cache {
namespace {

constexpr std::size_t kMaxTargetSize = 64;

/// No dots and no slashes, so that a target can never lead out of the directory.
bool is_target(std::string_view target) {
  return !target.empty() && target.size() <= kMaxTargetSize &&
         target.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") ==
             std::string_view::npos;
}

}  // namespace

Store::Store(std::string directory, FileSystem& files)
    : directory_(std::move(directory)), files_(files) {}

std::string Store::path_of(std::string_view target, std::string_view key) const {
  if (!is_target(target) || !is_key(key)) return {};
  std::string path = directory_ + "/v1/";
  path.append(target).append("/").append(key.substr(0, 2)).append("/").append(key).append(".bin");
  return path;
}

std::optional<Entry> Store::get(std::string_view target, std::string_view key,
                                std::string& reason) const noexcept try {
  reason.clear();
  const std::string path = path_of(target, key);
  if (path.empty()) {
    reason = "not a target and a key";
    return std::nullopt;
  }
  const ReadResult file = files_.read(path);
  switch (file.status) {
    case ReadResult::Status::kOk:
      if (auto entry = decode(file.bytes, key, reason)) return entry;
      reason = "will not use " + path + ": " + reason;
      break;
    case ReadResult::Status::kUntrusted:
      reason = file.reason;
      break;
    default:  // Nothing there, or the disk's trouble and not the entry's: nothing to remove.
      reason = file.reason;
      return std::nullopt;
  }
  std::string kept;
  if (!files_.remove_if_unchanged(path, file.id, kept)) reason += " (" + kept + ")";
  return std::nullopt;
} catch (const std::exception& error) {
  reason = error.what();
  return std::nullopt;
}

bool Store::put(std::string_view target, const Entry& entry, std::string& reason) const noexcept
    try {
  reason.clear();
  const std::string path = path_of(target, entry.key);
  if (path.empty()) {
    reason = "not a target and a key";
    return false;
  }
  return files_.make_private_directories(path.substr(0, path.find_last_of('/')), reason) &&
         files_.publish(path, encode(entry), reason);
} catch (const std::exception& error) {
  reason = error.what();
  return false;
}

}  // namespace allnorm::cache
