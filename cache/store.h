// The user's cache on disk: <directory>/v1/<target>/<first 2 digits of the key>/<key>.bin, an entry
// a file.
//
// No call fails because of the disk, and none throws: what cannot be read is a miss, what cannot be
// written is not kept. `reason` says, in words for a log, what was wrong; it is empty where nothing
// was, so also for a plain miss. An invalid entry is a miss, and is removed so that it is not read
// again, unless somebody has replaced it meanwhile.
//
// A get() notes that the entry is in use, once an hour at most; a put() now and then removes what was not used for
// longest, if there is more than the limit. A read-only store does neither, removes nothing and keeps nothing.
//
// Thread safety: any thread, and any number of processes may share a directory. Two that put the same key at once each
// publish a whole entry, and the later one stays.
#ifndef ALLNORM_CACHE_STORE_H_
#define ALLNORM_CACHE_STORE_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/entry.h"
#include "cache/file_system.h"
#include "cache/prune.h"

namespace allnorm::cache {

struct StoreOptions {
  bool read_only = false;
  std::int64_t max_bytes = kNoLimit;  ///< Of all entries.
};

class Store {
 public:
  /// The directory is an absolute path; it is made when the first entry is put. `files` outlives
  /// the store.
  explicit Store(std::string directory, FileSystem& files = FileSystem::real(), const StoreOptions& options = {});

  const std::string& directory() const noexcept { return directory_; }

  /// The entry of this key for this target ("sm_90a", "host"), if there is a valid one.
  std::optional<Entry> get(std::string_view target, std::string_view key, std::string& reason) const noexcept;

  /// Keeps the entry under entry.key; false if it could not.
  bool put(std::string_view target, const Entry& entry, std::string& reason) const noexcept;

  /// Where the entry is kept, whether it exists or not; empty if target or key could not be part of
  /// a path.
  std::string path_of(std::string_view target, std::string_view key) const;

 private:
  void note_use(const std::string& path, const FileId& id) const;
  void make_room(std::int64_t bytes) const;

  std::string directory_;
  FileSystem& files_;
  StoreOptions options_;
  mutable std::atomic<std::int64_t> put_since_prune_;  ///< Bytes; starts high, so that the first put prunes.
};

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_STORE_H_
