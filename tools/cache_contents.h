// The kernels of a cache directory, each read as the library reads it, but with nothing written, removed or touched.
//
// Used by one thread at a time; files may come and go meanwhile.
#ifndef ALLNORM_TOOLS_CACHE_CONTENTS_H_
#define ALLNORM_TOOLS_CACHE_CONTENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/entry.h"
#include "cache/file_system.h"
#include "cache/manifest.h"
#include "kernel_origin.h"

namespace allnorm::tools {

struct CachePlace {
  std::string directory;  ///< Absolute.
  bool prebuilt = false;  ///< One with a manifest, not the user's cache.
};

struct StoredKernel {
  std::string target;
  std::string key;
  std::string path;
  std::int64_t bytes = 0;
  std::int64_t last_use = 0;  ///< Seconds since 1970, to the hour; 0: unknown.
  // What follows is known once the file was read.
  cache::FileId id;
  KernelOrigin origin;
  std::string problem;           ///< Why the library would not use it; empty where it would.
  bool disk_has_failed = false;  ///< The problem is the disk's or that of permissions: the entry may be good.
};

struct CacheContents {
  CachePlace place;
  cache::Manifest manifest;  ///< Of a prebuilt directory; empty where it cannot be used.
  std::vector<StoredKernel> kernels;
  std::vector<std::string> temporary;  ///< Paths.
  std::vector<std::string> foreign;    ///< Paths of files that are nobody's entry.
  std::vector<std::string> reasons;    ///< What could not be read: folders, the manifest.
};

/// The kernels by their names; of prebuilt directories, those that the manifest names. Reads no entry.
CacheContents list_contents(const CachePlace& place);

/// Reads one, and sets the rest of its fields. Nothing if the library would not use it, or (`problem` is empty) if it
/// has gone meanwhile.
std::optional<cache::Entry> read_kernel(const CacheContents& contents, StoredKernel& kernel);

/// Both, for all kernels.
CacheContents read_contents(const CachePlace& place);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_CACHE_CONTENTS_H_
