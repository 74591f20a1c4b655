// PrebuiltDirectory: kernels that somebody compiled beforehand and that came with a container or a package.
//
// Named by whoever configures the process, and trusted as far as its manifest goes: files of any owner, each of which
// must have the size and the digest that the manifest says. Never written to.
//
// Thread safety: get() may be called from any thread; the manifest is read once, when it is first needed.
#ifndef ALLNORM_CACHE_PREBUILT_DIRECTORY_H_
#define ALLNORM_CACHE_PREBUILT_DIRECTORY_H_

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "cache/entry.h"
#include "cache/file_system.h"
#include "cache/manifest.h"

namespace allnorm::cache {

class PrebuiltDirectory {
 public:
  /// `files` outlives this object.
  PrebuiltDirectory(std::string directory, FileSystem& files);

  const std::string& directory() const noexcept { return directory_; }

  /// The entry, if the manifest names it and its file is as the manifest says. `reason` says what was wrong; it is
  /// empty where nothing was. A manifest that cannot be used is a reason once, at the first call.
  std::optional<Entry> get(std::string_view target, std::string_view key, std::string& reason) const noexcept;

 private:
  const Manifest& manifest(std::string& reason) const;

  std::string directory_;
  FileSystem& files_;
  mutable std::once_flag once_;
  mutable Manifest manifest_;
};

/// What reading a directory's manifest gave.
struct ManifestRead {
  enum class Status {
    kOk,
    kAbsent,
    kUnusable,   ///< Something is there that is no manifest.
    kUnreadable  ///< The disk says no: nobody knows what is there.
  };
  Status status = Status::kUnreadable;
  Manifest manifest;
  std::string reason;  ///< With the path; empty if kOk.
};
ManifestRead read_manifest(const std::string& directory, FileSystem& files);

/// Reads the entry that a manifest names, and compares it; nothing, and why, if it is not so. `unreadable`, if given,
/// says whether that is because the disk said no, so that nobody knows.
std::optional<Entry> read_manifest_entry(const std::string& directory, const ManifestEntry& expected, FileSystem& files,
                                         std::string& reason, bool* unreadable = nullptr);

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_PREBUILT_DIRECTORY_H_
