// The user's cache on disk: <directory>/v1/<target>/<first 2 digits of the key>/<key>.bin, an entry
// a file.
//
// No call fails because of the disk, and none throws: what cannot be read is a miss, what cannot be
// written is not kept. `reason` says, in words for a log, what was wrong; it is empty where nothing
// was, so also for a plain miss. An invalid entry is a miss, and is removed so that it is not read
// again, unless somebody has replaced it meanwhile.
//
// Thread safety: const throughout; any number of threads and processes may share a directory. Two
// that put the same key at once each publish a whole entry, and the later one stays.
#ifndef ALLNORM_CACHE_STORE_H_
#define ALLNORM_CACHE_STORE_H_

#include <optional>
#include <string>
#include <string_view>

#include "cache/entry.h"
#include "cache/file_system.h"

namespace allnorm::cache {

class Store {
 public:
  /// The directory is an absolute path; it is made when the first entry is put. `files` outlives
  /// the store.
  explicit Store(std::string directory, FileSystem& files = FileSystem::real());

  const std::string& directory() const noexcept { return directory_; }

  /// The entry of this key for this target ("sm_90a", "host"), if there is a valid one.
  std::optional<Entry> get(std::string_view target, std::string_view key,
                           std::string& reason) const noexcept;

  /// Keeps the entry under entry.key; false if it could not.
  bool put(std::string_view target, const Entry& entry, std::string& reason) const noexcept;

  /// Where the entry is kept, whether it exists or not; empty if target or key could not be part of
  /// a path.
  std::string path_of(std::string_view target, std::string_view key) const;

 private:
  std::string directory_;
  FileSystem& files_;
};

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_STORE_H_
