// What the tests of the cache share: an entry, a folder of one's own, a disk that fails on demand.
#ifndef ALLNORM_TESTS_UNIT_CACHE_FIXTURE_H_
#define ALLNORM_TESTS_UNIT_CACHE_FIXTURE_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "cache/entry.h"
#include "cache/file_system.h"
#include "cache/key.h"
#include "cache/store.h"
#include "catch.h"

namespace allnorm::cache::test {

namespace fs = std::filesystem;

/// Entries of different seeds have different keys.
inline Entry small_entry(int seed = 0) {
  Entry entry;
  entry.key = KeyBuilder().add("seed", seed).finish().hex;
  entry.kernel_name = "k" + std::to_string(seed);
  entry.provenance = R"({"nvrtc":"12.9"})";
  entry.payload = std::string("\x7f\0\n\xff", 4) + std::to_string(seed);
  return entry;
}

/// A folder of its own, gone at the end.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "allnorm_test_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");  // also in threads
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline mode_t mode_of(const std::string& path) {
  struct stat status{};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

inline std::size_t count_files(const std::string& folder) {
  std::size_t files = 0;
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    files += item.is_directory() ? 0 : 1;
  }
  return files;
}

inline const std::string kTarget = "sm_90a";

/// The real disk, but for what a test changes.
class TestFiles : public FileSystem {
 public:
  std::vector<std::string> calls;
  std::string fail;  ///< The call that fails with `error`.
  int error = ENOSPC;
  std::size_t most = SIZE_MAX;      ///< Bytes that one read or write moves.
  std::set<std::string> interrupt;  ///< The next of each of these calls is interrupted.
  bool foreign = false;             ///< All files belong to somebody else.
  std::function<void()> before_lstat;

 protected:
  int sys_open(const char* path, int flags, mode_t mode) override {
    const std::string name = (flags & O_CREAT) != 0 ? "create" : (flags & O_DIRECTORY) != 0 ? "open_directory" : "open";
    if (name == "create") {
      CHECK((flags & O_EXCL) != 0);
      CHECK(mode == 0600);
    }
    CHECK((flags & O_CLOEXEC) != 0);
    return fails(name) ? -1 : FileSystem::sys_open(path, flags, mode);
  }
  int sys_fstat(int fd, struct stat* status) override {
    if (fails("fstat")) return -1;
    const int result = FileSystem::sys_fstat(fd, status);
    if (foreign) status->st_uid = ::geteuid() + 12345;
    return result;
  }
  int sys_lstat(const char* path, struct stat* status) override {
    if (before_lstat) before_lstat();
    return FileSystem::sys_lstat(path, status);
  }
  ssize_t sys_read(int fd, void* buffer, std::size_t size) override {
    return fails("read") ? -1 : FileSystem::sys_read(fd, buffer, std::min(size, most));
  }
  ssize_t sys_write(int fd, const void* bytes, std::size_t size) override {
    return fails("write") ? -1 : FileSystem::sys_write(fd, bytes, std::min(size, most));
  }
  int sys_fsync(int fd) override { return fails("fsync") ? -1 : FileSystem::sys_fsync(fd); }
  int sys_close(int fd) override {
    FileSystem::sys_close(fd);
    return fails("close") ? -1 : 0;
  }
  int sys_rename(const char* from, const char* to) override {
    return fails("rename") ? -1 : FileSystem::sys_rename(from, to);
  }
  int sys_unlink(const char* path) override { return fails("unlink") ? -1 : FileSystem::sys_unlink(path); }
  int sys_mkdir(const char* path, mode_t mode) override {
    CHECK(mode == 0700);
    return fails("mkdir") ? -1 : FileSystem::sys_mkdir(path, mode);
  }

 private:
  bool fails(const std::string& name) {
    if (interrupt.erase(name) != 0) {
      errno = EINTR;
      return true;
    }
    calls.push_back(name);
    errno = error;
    return name == fail;
  }
};

/// A store with one entry, and the means to look at it.
struct Fixture {
  Folder folder;
  TestFiles files;
  Store store{folder / "cache", files};
  Entry entry = small_entry();
  std::string reason;
  std::string path = store.path_of(kTarget, entry.key);

  Fixture() { REQUIRE(store.put(kTarget, entry, reason)); }
  bool hit() { return store.get(kTarget, entry.key, reason) == entry; }
  bool miss() { return !store.get(kTarget, entry.key, reason).has_value(); }
};

}  // namespace allnorm::cache::test

#endif  // ALLNORM_TESTS_UNIT_CACHE_FIXTURE_H_
