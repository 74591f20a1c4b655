// cache::parse_manifest: gives a manifest that is the same when written and read again, or nothing with a reason.
#include <string>
#include <string_view>

#include "cache/key.h"
#include "cache/manifest.h"
#include "target.h"

using namespace allnorm;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string reason;
  const auto manifest = cache::parse_manifest(text, reason);
  fuzz::require(manifest.has_value() == reason.empty(), "a reason is given if and only if nothing else is");
  if (!manifest) return 0;
  fuzz::accepted++;
  for (const cache::ManifestEntry& entry : manifest->entries) {
    fuzz::require(manifest->find(entry.target, entry.key) == &entry, "every entry is found");
    fuzz::require(entry.bytes >= 0, "sizes are sizes");
  }
  fuzz::require(cache::parse_manifest(cache::to_json(*manifest), reason) == manifest,
                "it survives writing and reading");
  return 0;
}

namespace allnorm::fuzz {

std::vector<std::string> seeds() {
  const auto entry = [](const char* target, int seed) {
    const std::string key = cache::KeyBuilder().add("seed", seed).finish().hex;
    return cache::ManifestEntry{target, key, 1000 + seed, key, R"({"hidden_dim": 512, "geometry": [1, 2, 3]})"};
  };
  return {cache::to_json({"0.1.0", {}}), cache::to_json({"0.1.0", {entry("sm_90a", 1)}}),
          cache::to_json({"0.1.0", {entry("sm_90a", 1), entry("host", 2)}})};
}

std::vector<std::string> tokens() {
  return {"\"format\": ", "\"allnorm manifest\"", "\"schema\": ", "\"library\": ", "\"entries\": ", "\"target\": ",
          "\"key\": ",    "\"bytes\": ",          "\"sha256\": ", "\"spec\": ",    "\"sm_100a\"",   "268435457",
          "268435456"};
}

}  // namespace allnorm::fuzz
