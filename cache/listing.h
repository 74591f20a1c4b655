// What a cache directory holds, as files: entries, temporary files, and what is neither.
//
// Thread safety: free functions without state. Files may come and go meanwhile.
#ifndef ALLNORM_CACHE_LISTING_H_
#define ALLNORM_CACHE_LISTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cache/file_system.h"

namespace allnorm::cache {

struct StoredFile {
  enum class Kind {
    kEntry,      ///< By its name; what it holds was not looked at.
    kTemporary,  ///< Of a publication that is under way, or that was cut short.
    kOther       ///< Not put here by us.
  };
  Kind kind = Kind::kOther;
  std::string path;
  std::string target;  ///< Of entries.
  std::string key;     ///< Of entries.
  std::int64_t bytes = 0;
  FileId id;  ///< The time in it is that of the last use, to the hour.
};

/// All files under <directory>/v1, and temporary files in the directory itself, in the order of their paths. `reasons`
/// says which folders could not be read.
std::vector<StoredFile> list_files(const std::string& directory, FileSystem& files, std::vector<std::string>& reasons);

/// Whether a folder of this name holds entries of a target ("sm_90a"): no dots and no slashes, so that it can never
/// lead out of the directory.
bool is_target(std::string_view target) noexcept;

/// Where an entry lies below a cache directory; empty if target or key could not be part of a path.
std::string entry_path(const std::string& directory, std::string_view target, std::string_view key);

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_LISTING_H_
