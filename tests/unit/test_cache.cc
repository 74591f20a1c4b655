// The store: what is put is got, and nothing else is.
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "cache/store.h"
#include "cache_fixture.h"
#include "catch.h"

namespace allnorm::cache::test {

TEST_CASE("what was put is got, from the documented place, and private") {
  Fixture f;
  CHECK(f.path == f.folder.path() + "/cache/v1/sm_90a/" + f.entry.key.substr(0, 2) + "/" +
                      f.entry.key + ".bin");
  CHECK(f.hit());
  CHECK(f.reason.empty());
  CHECK(mode_of(f.path) == 0600);
  for (fs::path up = fs::path(f.path).parent_path(); up != f.folder.path(); up = up.parent_path()) {
    CHECK(mode_of(up.string()) == 0700);
  }
  CHECK(count_files(f.folder.path()) == 1);
}

TEST_CASE("what was never put is a miss without a reason") {
  Fixture f;
  std::string reason = "old";
  CHECK_FALSE(f.store.get(kTarget, small_entry(7).key, reason).has_value());
  CHECK(reason.empty());
  CHECK_FALSE(f.store.get("host", f.entry.key, reason).has_value());
  CHECK(reason.empty());
  CHECK_FALSE(Store(f.folder / "nowhere").get(kTarget, f.entry.key, reason).has_value());
  CHECK(reason.empty());
  CHECK_FALSE(fs::exists(f.folder / "nowhere"));
}

TEST_CASE("put replaces what is there") {
  Fixture f;
  f.entry.payload = "other";
  CHECK(f.store.put(kTarget, f.entry, f.reason));
  CHECK(f.hit());
  CHECK(count_files(f.folder.path()) == 1);
}

TEST_CASE("targets and keys that could lead elsewhere are refused") {
  Fixture f;
  for (const char* target : {"", ".", "..", "a/b", "../x", "SM_90A", "a b"}) {
    INFO(target);
    CHECK(f.store.path_of(target, f.entry.key).empty());
    CHECK_FALSE(f.store.put(target, f.entry, f.reason));
    CHECK_FALSE(f.reason.empty());
    CHECK_FALSE(f.store.get(target, f.entry.key, f.reason).has_value());
    CHECK_FALSE(f.reason.empty());
  }
  f.entry.key = "../../../../../etc/passwd";
  CHECK_FALSE(f.store.put(kTarget, f.entry, f.reason));
  CHECK(f.store.path_of(std::string(65, 'a'), small_entry().key).empty());
  CHECK(count_files(f.folder.path()) == 1);
}

TEST_CASE("a corrupt file is a miss, is removed, and can be put again") {
  Fixture f;
  std::string bytes = read_bytes(f.path);
  bytes.back() ^= 1;
  write_bytes(f.path, bytes);
  CHECK(f.miss());
  CHECK(f.reason.find("digest") != std::string::npos);
  CHECK(f.reason.find(f.path) != std::string::npos);
  CHECK_FALSE(fs::exists(f.path));
  CHECK(f.store.put(kTarget, f.entry, f.reason));
  CHECK(f.hit());
}

TEST_CASE("an empty file is a miss and is removed") {
  Fixture f;
  write_bytes(f.path, "");
  CHECK(f.miss());
  CHECK_FALSE(fs::exists(f.path));
}

TEST_CASE("a corrupt file that somebody replaces meanwhile is left") {
  Fixture f;
  const std::string good = read_bytes(f.path);
  write_bytes(f.path, "corrupt");
  f.files.before_lstat = [&] {
    write_bytes(f.folder / "new", good);
    fs::permissions(f.folder / "new", fs::perms(0600));
    fs::rename(f.folder / "new", f.path);
  };
  CHECK(f.miss());
  CHECK(f.reason.find("changed meanwhile") != std::string::npos);
  f.files.before_lstat = nullptr;
  CHECK(f.hit());
}

TEST_CASE("a corrupt file that is written to meanwhile is left") {
  Fixture f;
  write_bytes(f.path, "corrupt");
  f.files.before_lstat = [&] {
    const struct timespec times[2] = {{1000, 5}, {1000, 5}};
    REQUIRE(::utimensat(AT_FDCWD, f.path.c_str(), times, 0) == 0);
  };
  CHECK(f.miss());
  CHECK(fs::exists(f.path));
}

TEST_CASE("threads that put and get the same keys only ever see whole entries") {
  Folder folder;
  constexpr int kKeys = 3;
  constexpr int kRounds = 150;
  std::atomic<int> wrong{0};
  std::atomic<int> failed{0};
  std::atomic<int> hits{0};
  const auto version = [](int key, int number) {
    Entry entry = small_entry(key);
    entry.payload =
        std::string(static_cast<std::size_t>(5000 * (number + 1)), static_cast<char>('a' + number));
    return entry;
  };
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 3; ++writer) {
    threads.emplace_back([&, writer] {
      const Store store(folder / "cache");
      std::string reason;
      for (int i = 0; i < kRounds; ++i) {
        failed += store.put(kTarget, version(i % kKeys, writer), reason) ? 0 : 1;
      }
    });
  }
  for (int reader = 0; reader < 3; ++reader) {
    threads.emplace_back([&] {
      const Store store(folder / "cache");
      std::string reason;
      for (int i = 0; i < 4 * kRounds; ++i) {
        const auto entry = store.get(kTarget, small_entry(i % kKeys).key, reason);
        wrong += reason.empty() ? 0 : 1;
        if (!entry) continue;
        ++hits;
        wrong += *entry == version(i % kKeys, entry->payload[0] - 'a') ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(failed == 0);
  CHECK(hits > 0);
  CHECK(count_files(folder.path()) == kKeys);
}

}  // namespace allnorm::cache::test
