#include "cache/prune.h"

#include <algorithm>
#include <tuple>

#include "cache/listing.h"

namespace allnorm::cache {

PruneResult prune(const std::string& directory, std::int64_t max_bytes, std::int64_t keep_bytes, FileSystem& files) {
  PruneResult result;
  std::vector<StoredFile> entries;
  std::string reason;
  for (StoredFile& file : list_files(directory, files, result.reasons)) {
    if (file.kind == StoredFile::Kind::kEntry) {
      result.bytes_left += file.bytes;
      entries.push_back(std::move(file));
    } else if (file.kind == StoredFile::Kind::kTemporary) {
      if (files.remove_if_abandoned(file.path, reason)) {
        result.temporary_removed++;
      } else {
        result.reasons.push_back(reason);
      }
    }
  }
  result.entries_left = entries.size();
  if (result.bytes_left <= max_bytes) return result;

  const auto last_use = [](const StoredFile& file) {
    return std::tuple(file.id.mtime_seconds, file.id.mtime_nanoseconds);
  };
  std::sort(entries.begin(), entries.end(),
            [&](const StoredFile& a, const StoredFile& b) { return last_use(a) < last_use(b); });
  for (const StoredFile& entry : entries) {
    if (result.bytes_left <= keep_bytes) break;
    if (!files.remove_if_unchanged(entry.path, entry.id, reason)) {  // used, replaced or removed meanwhile
      result.reasons.push_back(reason);
      continue;
    }
    result.entries_left--;
    result.entries_removed++;
    result.bytes_left -= entry.bytes;
    result.bytes_removed += entry.bytes;
  }
  return result;
}

}  // namespace allnorm::cache
