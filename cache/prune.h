// Keeps a cache directory below a size: the entries that were not used for longest go first.
//
// An entry's last use is its file's time of change, which a reader renews once an hour at most. Nothing is locked: a
// process that loses an entry between its look and its read has a miss, and one that has read it keeps what it read.
//
// Thread safety: free functions without state; any number of processes may prune one directory at once.
#ifndef ALLNORM_CACHE_PRUNE_H_
#define ALLNORM_CACHE_PRUNE_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "cache/file_system.h"

namespace allnorm::cache {

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

struct PruneResult {
  std::size_t entries_left = 0;
  std::size_t entries_removed = 0;
  std::size_t temporary_removed = 0;
  std::int64_t bytes_left = 0;  ///< Of entries.
  std::int64_t bytes_removed = 0;
  std::vector<std::string> reasons;  ///< What could not be read or removed.
};

/// Removes the temporary files that nobody writes any more. Then, if the entries have more than `max_bytes`, removes
/// the least recently used ones until they have `keep_bytes` or less.
PruneResult prune(const std::string& directory, std::int64_t max_bytes, std::int64_t keep_bytes, FileSystem& files);

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_PRUNE_H_
