// One cache entry as the bytes of a file.
//
//   offset  bytes
//        0      8  magic
//        8      4  schema
//       12     32  SHA-256 of all that follows
//       44     64  key, in hexadecimal
//      108      8  size of the kernel name
//      116      8  size of the provenance
//      124      8  size of the payload
//      132         kernel name, provenance, payload, and nothing after them
//
// Numbers are little-endian. The digest covers the kernel name and the provenance too: a payload is
// of no use under a wrong name. Thread safety: free functions without state.
#ifndef ALLNORM_CACHE_ENTRY_H_
#define ALLNORM_CACHE_ENTRY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace allnorm::cache {

/// Changes with the layout above. What decides the payload belongs in the key instead.
inline constexpr std::uint32_t kEntrySchema = 1;

struct Entry {
  std::string key;          ///< Key::hex.
  std::string kernel_name;  ///< The function to look up in the payload.
  std::string provenance;   ///< JSON, for people and tools; the cache does not look into it.
  std::string payload;      ///< A cubin or a shared object.

  bool operator==(const Entry&) const = default;
};

/// The bytes of the file. The key must satisfy is_key().
std::string encode(const Entry& entry);

/// The entry, if the bytes are exactly what encode() gives for this key; else nothing, and why.
/// Trusts nothing of what it reads.
std::optional<Entry> decode(std::string_view bytes, std::string_view key, std::string& reason);

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_ENTRY_H_
