// Manifest: what a directory of compiled kernels holds, file by file, with digests: <directory>/manifest.json.
//
//   {"format": "allnorm manifest", "schema": 1, "library": "0.1.0",
//    "entries": [{"target": "sm_90a", "key": "<64 hex>", "bytes": 30123, "sha256": "<64 hex, of the file>",
//                 "spec": {...}}]}
//
// "spec" is an object that the cache does not look into. No field may be added, left out or given twice; an entry may
// stand once. Thread safety: value types, and free functions without state.
#ifndef ALLNORM_CACHE_MANIFEST_H_
#define ALLNORM_CACHE_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace allnorm::cache {

inline constexpr std::string_view kManifestName = "manifest.json";

struct ManifestEntry {
  std::string target;
  std::string key;
  std::int64_t bytes = 0;
  std::string sha256;
  std::string spec;  ///< JSON: an object.
  bool operator==(const ManifestEntry&) const = default;
};

struct Manifest {
  std::string library;                 ///< The version that made it; for people.
  std::vector<ManifestEntry> entries;  ///< Ascending by target, then key.
  bool operator==(const Manifest&) const = default;

  /// The entry of a target and key, or null.
  const ManifestEntry* find(std::string_view target, std::string_view key) const noexcept;
};

/// Sorts the entries. Throws std::invalid_argument if a `spec` is not a JSON object.
std::string to_json(Manifest manifest);

/// Nothing, and why, if the text is not a manifest. Trusts nothing of it.
std::optional<Manifest> parse_manifest(std::string_view text, std::string& reason);

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_MANIFEST_H_
