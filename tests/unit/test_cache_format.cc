// Digests, keys, and the bytes of an entry.
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "cache/entry.h"
#include "cache/key.h"
#include "cache/sha256.h"
#include "cache_fixture.h"
#include "catch.h"

namespace allnorm::cache::test {

TEST_CASE("SHA-256 gives the published digests") {
  CHECK(to_hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha256("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a key depends on every name, value and order, and on where one ends") {
  const std::vector<Key> keys = {
      KeyBuilder().finish(),
      KeyBuilder().add("a", "bc").finish(),
      KeyBuilder().add("ab", "c").finish(),
      KeyBuilder().add("a", "").add("b", "c").finish(),
      KeyBuilder().add("a", "b").add("c", "d").finish(),
      KeyBuilder().add("c", "d").add("a", "b").finish(),
      KeyBuilder().add("a", std::string_view("b\0", 2)).finish(),
      KeyBuilder().add("a", "b").finish(),
      KeyBuilder().add("", "").finish(),
  };
  std::set<std::string> distinct;
  for (const Key& key : keys) {
    CHECK(is_key(key.hex));
    distinct.insert(key.hex);
  }
  CHECK(distinct.size() == keys.size());
}

TEST_CASE("a key stays what it is between versions, and keeps its fields") {
  const Key key =
      KeyBuilder().add("schema", 1).add("pdl", true).add("low", -3).add("t", "host").finish();
  CHECK(key.fields == Key::Fields{{"schema", "1"}, {"pdl", "1"}, {"low", "-3"}, {"t", "host"}});
  // Computed by another implementation: each text after its length as 8 little-endian bytes.
  CHECK(key.hex == "e05e2c73f9d0ce8d4d00c3465326419b0c4d6ad382984560c384480d0d42888d");
}

TEST_CASE("only 64 lower-case hexadecimal digits are a key") {
  const std::string good(64, 'a');
  CHECK(is_key(good));
  CHECK_FALSE(is_key(good.substr(1)));
  CHECK_FALSE(is_key(good + "a"));
  CHECK_FALSE(is_key("A" + good.substr(1)));
  CHECK_FALSE(is_key("/" + good.substr(1)));
  CHECK_FALSE(is_key("g" + good.substr(1)));
}

TEST_CASE("an entry is decoded to what was encoded, empty parts included") {
  std::string reason;
  const Entry entry = small_entry();
  CHECK(decode(encode(entry), entry.key, reason) == entry);
  const Entry empty{entry.key, "", "", ""};
  CHECK(decode(encode(empty), entry.key, reason) == empty);
  CHECK(reason.empty());
}

TEST_CASE("an entry with any one byte changed is a miss") {
  const Entry entry = small_entry();
  const std::string good = encode(entry);
  std::size_t accepted = 0;
  std::size_t without_reason = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int flip = 1; flip < 256; ++flip) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      std::string reason;
      accepted += decode(bad, entry.key, reason) ? 1 : 0;
      without_reason += reason.empty() ? 1 : 0;
    }
  }
  CHECK(accepted == 0);
  CHECK(without_reason == 0);
}

TEST_CASE("a shortened or lengthened entry is a miss") {
  const Entry entry = small_entry();
  const std::string good = encode(entry);
  std::string reason;
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < good.size(); ++size) {
    accepted += decode(good.substr(0, size), entry.key, reason) ? 1 : 0;
  }
  CHECK(accepted == 0);
  CHECK_FALSE(decode(good + '\0', entry.key, reason).has_value());
}

TEST_CASE("sizes that lie are a miss under a digest that is right") {
  const Entry entry = small_entry();
  const std::string good = encode(entry);
  const std::uint64_t sizes[] = {
      0, 1, 3, 1000, UINT64_MAX, UINT64_MAX - 131, std::uint64_t{1} << 63};
  for (const std::size_t field : {108u, 116u, 124u}) {
    for (const std::uint64_t size : sizes) {
      std::string body = good.substr(44);
      for (std::size_t i = 0; i < 8; ++i) body[field - 44 + i] = static_cast<char>(size >> (8 * i));
      const auto digest = sha256(body);
      std::string reason;
      INFO(field << " " << size);
      CHECK_FALSE(decode(good.substr(0, 12) + std::string(digest.begin(), digest.end()) + body,
                         entry.key, reason)
                      .has_value());
      CHECK(reason == "its sizes do not add up");
    }
  }
}

TEST_CASE("an entry of another key is a miss") {
  std::string reason;
  CHECK_FALSE(decode(encode(small_entry(1)), small_entry(2).key, reason).has_value());
  CHECK(reason == "an entry of another key");
}

}  // namespace allnorm::cache::test
