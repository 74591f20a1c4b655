// The manifest of a directory of compiled kernels, and such a directory.
#include <string>

#include "cache/listing.h"
#include "cache/manifest.h"
#include "cache/prebuilt_directory.h"
#include "cache/sha256.h"
#include "cache_fixture.h"
#include "catch.h"

namespace allnorm::cache::test {
namespace {

ManifestEntry entry_of(const Entry& entry) {
  const std::string bytes = encode(entry);
  return {kTarget, entry.key, static_cast<std::int64_t>(bytes.size()), to_hex(sha256(bytes)), R"({"hidden_dim":8})"};
}

Manifest two_entries() {
  Manifest manifest{"0.1.0", {entry_of(small_entry(1)), entry_of(small_entry(2))}};
  if (manifest.entries[1].key < manifest.entries[0].key) std::swap(manifest.entries[0], manifest.entries[1]);
  return manifest;
}

std::string refusal(const std::string& text) {
  std::string reason;
  CHECK_FALSE(parse_manifest(text, reason).has_value());
  return reason;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// A prebuilt directory with two entries, for anybody to read.
struct Prebuilt {
  Folder folder;
  TestFiles files;
  Entry entry = small_entry(1);
  std::string reason;
  std::string path = entry_path(folder.path(), kTarget, entry.key);

  Prebuilt() {
    const Store store(folder.path());
    REQUIRE(store.put(kTarget, entry, reason));
    REQUIRE(store.put(kTarget, small_entry(2), reason));
    write_manifest(to_json(two_entries()));
  }
  void write_manifest(const std::string& text) const { write_bytes(folder / "manifest.json", text); }
  bool hit() { return PrebuiltDirectory(folder.path(), files).get(kTarget, entry.key, reason) == entry; }
  bool miss() { return !PrebuiltDirectory(folder.path(), files).get(kTarget, entry.key, reason).has_value(); }
};

}  // namespace

TEST_CASE("a manifest is parsed to what was written, whatever the order") {
  const Manifest manifest = two_entries();
  Manifest turned = manifest;
  std::swap(turned.entries[0], turned.entries[1]);
  std::string reason;
  CHECK(parse_manifest(to_json(manifest), reason) == manifest);
  CHECK(to_json(turned) == to_json(manifest));
  CHECK(parse_manifest(to_json(Manifest{"0.1.0", {}}), reason) == Manifest{"0.1.0", {}});
  CHECK(manifest.find(kTarget, manifest.entries[1].key) == &manifest.entries[1]);
  CHECK(manifest.find("sm_100a", manifest.entries[1].key) == nullptr);
  CHECK(manifest.find(kTarget, small_entry(3).key) == nullptr);
}

TEST_CASE("what is no manifest is refused with a reason") {
  const std::string good = to_json(two_entries());
  CHECK(refusal("").size() > 5);
  CHECK(refusal("[]") == "the manifest is not an object");
  CHECK(refusal(good.substr(0, good.size() / 2)).find("parse error") != std::string::npos);
  CHECK(refusal(replaced(good, "allnorm manifest", "other")) == "it is not a manifest of AllNorm");
  CHECK(refusal(replaced(good, "\"schema\": 1", "\"schema\": 2")) == "another schema: 2");
  CHECK(refusal(replaced(good, "\"library\"", "\"schema\"")) == "a field is given twice: schema");
  CHECK(refusal(replaced(good, "\"library\"", "\"lib\"")) == "the manifest has no \"library\"");
  CHECK(refusal(replaced(good, "\"target\"", "\"x\": 1, \"target\"")) == "an entry has a field that is not known");
  CHECK(refusal(replaced(good, "\"sm_90a\"", "\"../x\"")) == "\"target\" is not a name of a target");
  CHECK(refusal(replaced(good, "\"sha256\": \"", "\"sha256\": \"G")).find("64 hexadecimal") != std::string::npos);
  CHECK(refusal(replaced(good, "\"bytes\": ", "\"bytes\": -")) == "\"bytes\" is not the size of a file");
  CHECK(refusal(replaced(good, "\"bytes\": ", "\"bytes\": 99999999")) == "\"bytes\" is not the size of a file");
  const Manifest twice{"0.1.0", {entry_of(small_entry(1)), entry_of(small_entry(1))}};
  CHECK(refusal(to_json(twice)).starts_with("an entry is given twice"));
  CHECK(refusal(std::string(100000, '[')) == "it is nested too deeply");
}

TEST_CASE("a spec that is no object is an error of the writer") {
  Manifest manifest = two_entries();
  manifest.entries[0].spec = "7";
  CHECK_THROWS_AS(to_json(manifest), std::invalid_argument);
}

TEST_CASE("a prebuilt directory serves what its manifest names, whoever owns the files") {
  Prebuilt p;
  p.files.foreign = true;
  REQUIRE(::chmod(p.path.c_str(), 0666) == 0);
  CHECK(p.hit());
  CHECK(p.reason.empty());
  CHECK_FALSE(PrebuiltDirectory(p.folder.path(), p.files).get(kTarget, small_entry(3).key, p.reason).has_value());
  CHECK(p.reason.empty());
}

TEST_CASE("a prebuilt directory is never written to") {
  Prebuilt p;
  write_bytes(p.path, "broken");
  p.files.calls.clear();
  CHECK(p.miss());
  CHECK(p.reason.find("it is not what the manifest says") != std::string::npos);
  CHECK(fs::exists(p.path));
  for (const std::string& call : p.files.calls)
    CHECK((call == "open" || call == "fstat" || call == "read" || call == "close"));
}

TEST_CASE("an entry that differs from its manifest is a miss, also if it is valid in itself") {
  Prebuilt p;
  Entry other = p.entry;
  other.payload += "!";
  write_bytes(p.path, encode(other));
  CHECK(p.miss());
  fs::remove(p.path);
  CHECK(p.miss());
  CHECK(p.reason.find("which is not there") != std::string::npos);
  fs::create_symlink(p.folder / "elsewhere", p.path);
  write_bytes(p.folder / "elsewhere", encode(p.entry));
  CHECK(p.miss());
  CHECK(p.reason.find("symbolic link") != std::string::npos);
}

TEST_CASE("a manifest that cannot be used makes misses, and says why once") {
  Prebuilt p;
  p.write_manifest("{}");
  const PrebuiltDirectory directory(p.folder.path(), p.files);
  CHECK_FALSE(directory.get(kTarget, p.entry.key, p.reason).has_value());
  CHECK(p.reason.find("manifest.json: the manifest has no") != std::string::npos);
  CHECK_FALSE(directory.get(kTarget, p.entry.key, p.reason).has_value());
  CHECK(p.reason.empty());
  fs::remove(p.folder / "manifest.json");
  CHECK(p.miss());
  CHECK(p.reason.find("manifest.json is not there") != std::string::npos);
}

}  // namespace allnorm::cache::test
