// Room in the cache: what goes first, what is kept, and what a crash leaves behind.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "cache/listing.h"
#include "cache/prune.h"
#include "cache_fixture.h"
#include "catch.h"

namespace allnorm::cache::test {
namespace {

void set_age(const std::string& path, std::int64_t seconds) {
  const timespec then = {::time(nullptr) - seconds, 0};
  const timespec times[2] = {then, then};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

std::int64_t age_of(const std::string& path) {
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return ::time(nullptr) - status.st_mtim.tv_sec;
}

/// Entries 0 to count - 1, the first the oldest.
std::vector<std::string> put_aged(const Store& store, int count) {
  std::vector<std::string> paths;
  std::string reason;
  for (int i = 0; i < count; i++) {
    REQUIRE(store.put(kTarget, small_entry(i), reason));
    paths.push_back(store.path_of(kTarget, small_entry(i).key));
    set_age(paths.back(), 10000 - 10 * i);
  }
  return paths;
}

const std::string kTemporary = ".0123456789abcdef.tmp";

/// A disk that refuses locks, for this reason.
class NoLocks : public FileSystem {
 public:
  explicit NoLocks(int error) : error_(error) {}

 protected:
  int sys_lock(int /*fd*/, std::int64_t /*first*/, std::int64_t /*bytes*/) override {
    errno = error_;
    return -1;
  }

 private:
  const int error_;
};

}  // namespace

TEST_CASE("a listing tells entries, temporary files and what is neither") {
  const Folder folder;
  const Store store(folder.path());
  const std::vector<std::string> paths = put_aged(store, 2);
  const std::string beside = paths[0].substr(0, paths[0].find_last_of('/'));
  write_bytes(beside + "/" + kTemporary, "x");
  write_bytes(folder / kTemporary, "x");
  write_bytes(folder / "v1/notes.txt", "x");
  write_bytes(beside + "/" + small_entry(1).key + ".bin", "in another entry's folder");
  std::vector<std::string> reasons;
  std::vector<int> kinds(3, 0);
  for (const StoredFile& file : list_files(folder.path(), FileSystem::real(), reasons)) {
    kinds[static_cast<std::size_t>(file.kind)]++;
    if (file.kind == StoredFile::Kind::kEntry) CHECK(entry_path(folder.path(), file.target, file.key) == file.path);
  }
  CHECK(kinds == std::vector<int>{2, 2, 2});
  CHECK(reasons.empty());
  CHECK(list_files(folder / "nothing", FileSystem::real(), reasons).empty());
  CHECK(reasons.empty());
}

TEST_CASE("what was not used for longest goes first, and no more than must") {
  const Folder folder;
  const Store store(folder.path());
  const std::vector<std::string> paths = put_aged(store, 4);
  const auto size = static_cast<std::int64_t>(fs::file_size(paths[0]));
  set_age(paths[0], 0);  // just used
  const PruneResult kept = prune(folder.path(), 4 * size, 2 * size, FileSystem::real());
  CHECK(kept.entries_removed == 0);
  const PruneResult result = prune(folder.path(), 4 * size - 1, 2 * size, FileSystem::real());
  CHECK(result.entries_removed == 2);
  CHECK(result.entries_left == 2);
  CHECK(result.bytes_left == 2 * size);
  CHECK(result.bytes_removed == 2 * size);
  CHECK(fs::exists(paths[0]));
  CHECK_FALSE(fs::exists(paths[1]));
  CHECK_FALSE(fs::exists(paths[2]));
  CHECK(fs::exists(paths[3]));
}

TEST_CASE("prunes that meet remove no more than one alone would") {
  const Folder folder;
  const std::vector<std::string> paths = put_aged(Store(folder.path()), 6);
  const auto size = static_cast<std::int64_t>(fs::file_size(paths[0]));
  // Between this prune's look and its removals, another removes the oldest three.
  struct Beside : FileSystem {
    std::vector<std::string> others;
    int sys_unlink(const char* path) override {
      for (const std::string& other : std::exchange(others, {})) fs::remove(other);
      return FileSystem::sys_unlink(path);
    }
  } files;
  files.others = {paths[0], paths[1], paths[2]};
  CHECK(prune(folder.path(), 5 * size, 3 * size, files).bytes_left == 3 * size);
  CHECK(count_files(folder.path()) == 3);
}

TEST_CASE("a store without a limit sweeps what a crash left, once a process") {
  const Folder folder;
  std::string reason;
  write_bytes(folder / kTemporary, "left by a crash");
  const Store store(folder.path());
  REQUIRE(store.put(kTarget, small_entry(1), reason));
  CHECK_FALSE(fs::exists(folder / kTemporary));
  write_bytes(folder / kTemporary, "x");
  REQUIRE(store.put(kTarget, small_entry(2), reason));
  CHECK(fs::exists(folder / kTemporary));
}

TEST_CASE("a read renews an entry's time once an hour, and a read-only store never") {
  Fixture f;
  set_age(f.path, 3000);
  CHECK(f.hit());
  CHECK(age_of(f.path) >= 3000);
  set_age(f.path, 4000);
  const Store read_only(f.store.directory(), f.files, {.read_only = true});
  CHECK(read_only.get(kTarget, f.entry.key, f.reason) == f.entry);
  CHECK(age_of(f.path) >= 4000);
  CHECK(f.hit());
  CHECK(age_of(f.path) < 100);
}

TEST_CASE("a read-only store removes nothing and keeps nothing") {
  Fixture f;
  write_bytes(f.path, "broken");
  const Store read_only(f.store.directory(), f.files, {.read_only = true});
  CHECK_FALSE(read_only.get(kTarget, f.entry.key, f.reason).has_value());
  CHECK(fs::exists(f.path));
  CHECK_FALSE(read_only.put(kTarget, f.entry, f.reason));
  CHECK(f.reason.find("read-only") != std::string::npos);
}

TEST_CASE("a store keeps itself below its limit") {
  const Folder folder;
  std::string reason;
  const auto size = static_cast<std::int64_t>(encode(small_entry(0)).size());
  const Store store(folder.path(), FileSystem::real(), {.max_bytes = 20 * size});
  for (int i = 0; i < 100; i++) {
    REQUIRE(store.put(kTarget, small_entry(i), reason));
    CHECK(store.get(kTarget, small_entry(i).key, reason) == small_entry(i));
  }
  CHECK(count_files(folder.path()) <= 23);  // an eighth above the limit, between two prunes
  CHECK(count_files(folder.path()) >= 17);
  // Another process begins with a prune.
  const Store other(folder.path(), FileSystem::real(), {.max_bytes = 10 * size});
  REQUIRE(other.put(kTarget, small_entry(200), reason));
  CHECK(count_files(folder.path()) <= 9);
  CHECK(count_files(folder.path()) >= 8);
}

TEST_CASE("a temporary file goes with the next prune, unless it is being written") {
  const Folder folder;
  put_aged(Store(folder.path()), 1);
  write_bytes(folder / kTemporary, "left by a crash");
  FileSystem& files = FileSystem::real();
  std::string reason;
  const int fd = ::open((folder / kTemporary).c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  REQUIRE(files.try_lock(fd, 0, reason) == LockResult::kLocked);
  const PruneResult busy = prune(folder.path(), kNoLimit, kNoLimit, files);
  CHECK(busy.temporary_removed == 0);
  CHECK(busy.reasons.size() == 1);
  CHECK(fs::exists(folder / kTemporary));
  files.close_lock_file(fd);
  CHECK(prune(folder.path(), kNoLimit, kNoLimit, files).temporary_removed == 1);
  CHECK_FALSE(fs::exists(folder / kTemporary));
}

TEST_CASE("where there are no locks, a temporary file goes when it is old") {
  NoLocks files(ENOLCK);
  const Folder folder;
  write_bytes(folder / kTemporary, "x");
  set_age(folder / kTemporary, 500);
  CHECK(prune(folder.path(), kNoLimit, kNoLimit, files).temporary_removed == 0);
  set_age(folder / kTemporary, 700);
  CHECK(prune(folder.path(), kNoLimit, kNoLimit, files).temporary_removed == 1);
}

TEST_CASE("a prune at any moment of a put leaves its file alone, or the put takes another") {
  struct Pruner : FileSystem {
    std::string directory;
    int moment = 0;
    int moments = 0;
    std::size_t removed = 0;
    void pass() {
      if (++moments == moment) removed += prune(directory, kNoLimit, kNoLimit, real()).temporary_removed;
    }
    int sys_lock(int fd, std::int64_t first, std::int64_t bytes) override {
      pass();
      const int result = FileSystem::sys_lock(fd, first, bytes);
      pass();
      return result;
    }
    ssize_t sys_write(int fd, const void* bytes, std::size_t size) override {
      pass();
      return FileSystem::sys_write(fd, bytes, size);
    }
    int sys_rename(const char* from, const char* to) override {
      pass();
      const int result = FileSystem::sys_rename(from, to);
      pass();
      return result;
    }
  } files;
  const Folder folder;
  files.directory = folder.path();
  const Store store(folder.path(), files);
  for (files.moment = 1; files.moment <= files.moments || files.moment == 1; files.moment++) {
    INFO("moment " << files.moment);
    files.moments = 0;
    files.removed = 0;
    std::string reason;
    CHECK(store.put(kTarget, small_entry(files.moment), reason));
    CHECK(store.get(kTarget, small_entry(files.moment).key, reason) == small_entry(files.moment));
    CHECK(count_files(folder.path()) == static_cast<std::size_t>(files.moment));
    // It is nobody's only until it is locked.
    CHECK(files.removed == (files.moment == 1 ? 1 : 0));
  }
  CHECK(files.moments >= 5);
}

TEST_CASE("a put whose file a prune has just locked takes another") {
  struct Busy : FileSystem {
    int busy = 0;
    int sys_lock(int fd, std::int64_t first, std::int64_t bytes) override {
      errno = EAGAIN;
      return busy-- > 0 ? -1 : FileSystem::sys_lock(fd, first, bytes);
    }
  } files;
  const Folder folder;
  const Store store(folder.path(), files);
  std::string reason;
  files.busy = 3;
  CHECK(store.put(kTarget, small_entry(), reason));
  CHECK(count_files(folder.path()) == 1);
  const std::size_t open_before = count_files("/proc/self/fd");
  files.busy = 1000;
  CHECK_FALSE(store.put(kTarget, small_entry(1), reason));
  CHECK(reason.find("cannot create a file in ") == 0);
  CHECK(count_files(folder.path()) == 1);
  CHECK(count_files("/proc/self/fd") == open_before);
}

TEST_CASE("a put goes on where a policy refuses locks") {
  NoLocks files(EACCES);
  const Folder folder;
  const Store store(folder.path(), files);
  std::string reason;
  CHECK(store.put(kTarget, small_entry(), reason));
  CHECK(store.get(kTarget, small_entry().key, reason) == small_entry());
}

TEST_CASE("a put whose file was taken in spite of its lock writes it once more") {
  struct Sweeper : TestFiles {
    int sweeps = 1;
    int sys_rename(const char* from, const char* to) override {
      if (sweeps-- > 0) fs::remove(from);
      return TestFiles::sys_rename(from, to);
    }
  } files;
  const Folder folder;
  const Store store(folder.path(), files);
  std::string reason;
  CHECK(store.put(kTarget, small_entry(), reason));
  CHECK(store.get(kTarget, small_entry().key, reason) == small_entry());
  files.sweeps = 2;
  CHECK_FALSE(store.put(kTarget, small_entry(1), reason));
}

}  // namespace allnorm::cache::test
