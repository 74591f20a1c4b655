#include "cache/prebuilt_directory.h"

#include <exception>
#include <utility>

#include "cache/listing.h"
#include "cache/sha256.h"

namespace allnorm::cache {

PrebuiltDirectory::PrebuiltDirectory(std::string directory, FileSystem& files)
    : directory_(std::move(directory)), files_(files) {}

std::optional<Entry> PrebuiltDirectory::get(std::string_view target, std::string_view key,
                                            std::string& reason) const noexcept try {
  reason.clear();
  const ManifestEntry* expected = manifest(reason).find(target, key);
  if (expected == nullptr) return std::nullopt;
  return read_manifest_entry(directory_, *expected, files_, reason);
} catch (const std::exception& error) {
  reason = error.what();
  return std::nullopt;
}

const Manifest& PrebuiltDirectory::manifest(std::string& reason) const {
  std::call_once(once_, [&] {
    ManifestRead read = read_manifest(directory_, files_);
    manifest_ = std::move(read.manifest);
    if (read.status != ManifestRead::Status::kOk) reason = "will not use a prebuilt directory: " + read.reason;
  });
  return manifest_;
}

ManifestRead read_manifest(const std::string& directory, FileSystem& files) {
  using Status = ManifestRead::Status;
  const std::string path = directory + "/" + std::string(kManifestName);
  ReadResult file = files.read(path, Trust::kAnyOwner);
  switch (file.status) {
    case ReadResult::Status::kAbsent: return {Status::kAbsent, {}, path + " is not there"};
    case ReadResult::Status::kUntrusted: return {Status::kUnusable, {}, std::move(file.reason)};
    case ReadResult::Status::kFailed: return {Status::kUnreadable, {}, std::move(file.reason)};
    case ReadResult::Status::kOk: break;
  }
  std::string reason;
  auto manifest = parse_manifest(file.bytes, reason);
  if (!manifest) return {Status::kUnusable, {}, path + ": " + reason};
  return {Status::kOk, std::move(*manifest), {}};
}

std::optional<Entry> read_manifest_entry(const std::string& directory, const ManifestEntry& expected, FileSystem& files,
                                         std::string& reason, bool* unreadable) {
  const std::string path = entry_path(directory, expected.target, expected.key);
  const ReadResult file = files.read(path, Trust::kAnyOwner);
  if (unreadable != nullptr) *unreadable = file.status == ReadResult::Status::kFailed;
  if (file.status != ReadResult::Status::kOk) {
    reason = file.status == ReadResult::Status::kAbsent ? "the manifest names " + path + ", which is not there"
                                                        : file.reason;
    return std::nullopt;
  }
  if (std::int64_t(file.bytes.size()) != expected.bytes || to_hex(sha256(file.bytes)) != expected.sha256) {
    reason = "will not use " + path + ": it is not what the manifest says";
    return std::nullopt;
  }
  auto entry = decode(file.bytes, expected.key, reason);
  if (!entry) reason = "will not use " + path + ": " + reason;
  return entry;
}

}  // namespace allnorm::cache
