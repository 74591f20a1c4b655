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
    const std::string path = directory_ + "/" + std::string(kManifestName);
    const ReadResult file = files_.read(path, Trust::kAnyOwner);
    if (file.status == ReadResult::Status::kAbsent) {
      reason = "the prebuilt directory " + directory_ + " has no " + std::string(kManifestName);
    } else if (file.status != ReadResult::Status::kOk) {
      reason = file.reason;
    } else if (auto parsed = parse_manifest(file.bytes, reason)) {
      manifest_ = std::move(*parsed);
    } else {
      reason = "will not use " + path + ": " + reason;
    }
  });
  return manifest_;
}

std::optional<Entry> read_manifest_entry(const std::string& directory, const ManifestEntry& expected, FileSystem& files,
                                         std::string& reason) {
  const std::string path = entry_path(directory, expected.target, expected.key);
  const ReadResult file = files.read(path, Trust::kAnyOwner);
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
