// cache::decode: gives what was encoded, or nothing with a reason.
#include <string>
#include <string_view>

#include "cache/entry.h"
#include "cache/key.h"
#include "cache/sha256.h"
#include "target.h"

namespace {

using namespace allnorm;

constexpr std::size_t kDigestAt = 12;
constexpr std::size_t kBodyAt = kDigestAt + cache::kSha256Bytes;
constexpr std::size_t kKeySize = 64;

void check(std::string_view bytes) {
  const std::string key(bytes.size() < kBodyAt + kKeySize ? std::string_view() : bytes.substr(kBodyAt, kKeySize));
  std::string reason;
  const auto entry = cache::decode(bytes, key, reason);
  fuzz::require(entry.has_value() == reason.empty(), "a reason is given if and only if nothing else is");
  if (!entry) return;
  fuzz::accepted++;
  fuzz::require(cache::encode(*entry) == bytes, "encode(decode(bytes)) == bytes");
  fuzz::require(!cache::decode(bytes, std::string(kKeySize, 'f') + "f", reason), "it is of no other key");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  if (size <= kBodyAt) return 0;
  // A wrong digest hides what is behind it; whoever writes a file can make it right.
  const cache::Digest digest = cache::sha256(std::string_view(bytes).substr(kBodyAt));
  bytes.replace(kDigestAt, digest.size(), reinterpret_cast<const char*>(digest.data()), digest.size());
  check(bytes);
  return 0;
}

namespace allnorm::fuzz {

std::vector<std::string> seeds() {
  const std::string key = cache::KeyBuilder().add("seed", 1).finish().hex;
  return {cache::encode({key, "", "", ""}), cache::encode({key, "kernel", "{}", std::string("\x7f\0\n\xff", 4)}),
          cache::encode({key, "allnorm_one_shot", R"({"nvrtc":"13.0"})", std::string(300, '\x90')})};
}

std::vector<std::string> tokens() { return {"ALLNORM\x1a", std::string("\1\0\0\0", 4), std::string(8, '\0')}; }

}  // namespace allnorm::fuzz
