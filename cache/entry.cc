#include "cache/entry.h"

#include <cstddef>

#include "cache/sha256.h"

namespace allnorm::cache {
namespace {

// A byte that is no text, so that nobody's editor takes an entry for a text file.
constexpr std::string_view kMagic{"ALLNORM\x1a", 8};
constexpr std::size_t kKeyBytes = 2 * kSha256Bytes;
constexpr std::size_t kDigestEnd = 8 + 4 + kSha256Bytes;
constexpr std::size_t kHeaderBytes = kDigestEnd + kKeyBytes + 3 * 8;

template <typename Integer>
void append_number(std::string& bytes, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    bytes.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
}

/// Takes bytes off the front. A take that asks for more than is left gives nothing.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::optional<std::string_view> take(std::uint64_t size) {
    if (size > rest_.size()) return std::nullopt;
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return taken;
  }

  template <typename Integer>
  std::optional<Integer> number() {
    const auto bytes = take(sizeof(Integer));
    if (!bytes) return std::nullopt;
    Integer value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) {
      value |= static_cast<Integer>(static_cast<unsigned char>((*bytes)[i])) << (8 * i);
    }
    return value;
  }

  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

std::string digest_of(std::string_view bytes) {
  const Digest digest = sha256(bytes);
  return {digest.begin(), digest.end()};
}

}  // namespace

std::string encode(const Entry& entry) {
  std::string body;
  body.reserve(kHeaderBytes + entry.kernel_name.size() + entry.provenance.size() +
               entry.payload.size());
  body += entry.key;
  append_number<std::uint64_t>(body, entry.kernel_name.size());
  append_number<std::uint64_t>(body, entry.provenance.size());
  append_number<std::uint64_t>(body, entry.payload.size());
  body += entry.kernel_name;
  body += entry.provenance;
  body += entry.payload;

  std::string head(kMagic);
  append_number(head, kEntrySchema);
  head += digest_of(body);
  return body.insert(0, head);
}

std::optional<Entry> decode(std::string_view bytes, std::string_view key, std::string& reason) {
  const auto invalid = [&](const char* why) {
    reason = why;
    return std::nullopt;
  };
  if (bytes.size() < kHeaderBytes) return invalid("too short for an entry");
  Reader reader(bytes);
  if (reader.take(kMagic.size()) != kMagic) return invalid("not an entry of this cache");
  if (reader.number<std::uint32_t>() != kEntrySchema) return invalid("another schema");
  const auto digest = reader.take(kSha256Bytes);
  if (digest != digest_of(reader.rest())) return invalid("its digest does not match");
  // From here on the bytes are as somebody's encode() wrote them; that need not have been ours.
  if (reader.take(kKeyBytes) != key) return invalid("an entry of another key");
  const auto name_size = reader.number<std::uint64_t>();
  const auto provenance_size = reader.number<std::uint64_t>();
  const auto payload_size = reader.number<std::uint64_t>();
  if (!name_size || !provenance_size || !payload_size) return invalid("too short for an entry");
  const auto name = reader.take(*name_size);
  const auto provenance = name ? reader.take(*provenance_size) : std::nullopt;
  const auto payload = provenance ? reader.take(*payload_size) : std::nullopt;
  if (!payload || !reader.rest().empty()) return invalid("its sizes do not add up");
  return Entry{std::string(key), std::string(*name), std::string(*provenance),
               std::string(*payload)};
}

}  // namespace allnorm::cache
