// Disks that fail, and files that must not be trusted. Nothing here relies on permissions that root
// does not feel.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "cache/file_system.h"
#include "cache/store.h"
#include "cache_fixture.h"
#include "catch.h"

namespace allnorm::cache::test {

TEST_CASE("a symbolic link is not followed, and goes") {
  Fixture f;
  fs::rename(f.path, f.folder / "elsewhere");
  fs::create_symlink(f.folder / "elsewhere", f.path);
  CHECK(f.miss());
  CHECK(f.reason.find("symbolic link") != std::string::npos);
  CHECK_FALSE(fs::is_symlink(f.path));
  CHECK(fs::exists(f.folder / "elsewhere"));
}

TEST_CASE("put replaces a symbolic link, not what it points to") {
  Fixture f;
  write_bytes(f.folder / "victim", "precious");
  fs::remove(f.path);
  fs::create_symlink(f.folder / "victim", f.path);
  CHECK(f.store.put(kTarget, f.entry, f.reason));
  CHECK(read_bytes(f.folder / "victim") == "precious");
  CHECK(f.hit());
}

TEST_CASE("a file that others may write is a miss and is removed") {
  for (const mode_t mode : {0620u, 0602u, 0666u}) {
    Fixture f;
    INFO(mode);
    REQUIRE(::chmod(f.path.c_str(), mode) == 0);
    CHECK(f.miss());
    CHECK(f.reason.find("others may write it") != std::string::npos);
    CHECK_FALSE(fs::exists(f.path));
  }
  Fixture readable;
  REQUIRE(::chmod(readable.path.c_str(), 0644) == 0);
  CHECK(readable.hit());
}

TEST_CASE("a file of another user is a miss") {
  Fixture f;
  f.files.foreign = true;
  CHECK(f.miss());
  CHECK(f.reason.find("another user") != std::string::npos);
}

TEST_CASE("a pipe or a folder in an entry's place is a miss at once") {
  Fixture f;
  fs::remove(f.path);
  REQUIRE(::mkfifo(f.path.c_str(), 0600) == 0);
  CHECK(f.miss());
  CHECK(f.reason.find("not a regular file") != std::string::npos);
  CHECK_FALSE(fs::exists(f.path));
  fs::create_directory(f.path);
  CHECK(f.miss());
  CHECK(fs::exists(f.path));
  CHECK_FALSE(f.store.put(kTarget, f.entry, f.reason));
  CHECK(count_files(f.folder.path()) == 0);
}

TEST_CASE("a file too large to be meant is not read") {
  Fixture f;
  REQUIRE(::truncate(f.path.c_str(), FileSystem::kMaxFileBytes + 1) == 0);
  CHECK(f.miss());
  CHECK(f.reason.find("too large") != std::string::npos);
}

TEST_CASE("a disk that fails a read is a miss, and the entry stays") {
  for (const char* call : {"open", "fstat", "read"}) {
    Fixture f;
    INFO(call);
    f.files.error = EIO;
    f.files.fail = call;
    CHECK(f.miss());
    CHECK(f.reason.find("Input/output error") != std::string::npos);
    f.files.fail.clear();
    CHECK(f.hit());
  }
}

TEST_CASE("a disk that fails a put leaves the old entry and no temporary file") {
  for (const char* call : {"create", "write", "fsync", "close", "rename"}) {
    Fixture f;
    INFO(call);
    Entry other = f.entry;
    other.payload = "other";
    f.files.fail = call;
    CHECK_FALSE(f.store.put(kTarget, other, f.reason));
    CHECK(f.reason.find("No space left on device") != std::string::npos);
    CHECK(count_files(f.folder.path()) == 1);
    f.files.fail.clear();
    CHECK(f.hit());
  }
}

TEST_CASE("folders that cannot be made fail a put with a reason") {
  Folder folder;
  TestFiles files;
  files.fail = "mkdir";
  std::string reason;
  CHECK_FALSE(Store(folder / "cache", files).put(kTarget, small_entry(), reason));
  CHECK(reason.find("cannot make " + folder / "cache") == 0);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("an entry is on the disk before it has its name") {
  Fixture f;
  f.files.calls.clear();
  REQUIRE(f.store.put(kTarget, f.entry, f.reason));
  CHECK(f.files.calls == std::vector<std::string>{"create", "fstat", "write", "fsync", "close", "rename", "close",
                                                  "open_directory", "fsync", "close"});
}

TEST_CASE("interrupted and partial reads and writes go on") {
  Fixture f;
  f.files.most = 7;
  f.files.interrupt = {"create", "write", "fsync", "open_directory"};
  CHECK(f.store.put(kTarget, f.entry, f.reason));
  CHECK(f.files.interrupt.empty());
  f.files.interrupt = {"open", "read"};
  CHECK(f.hit());
  CHECK(f.files.interrupt.empty());
}

TEST_CASE("a file where a folder should be is a miss and a failed put") {
  Folder folder;
  write_bytes(folder / "cache", "a file");
  const Store store(folder / "cache");
  std::string reason;
  CHECK_FALSE(store.get(kTarget, small_entry().key, reason).has_value());
  CHECK(reason.find("Not a directory") != std::string::npos);
  CHECK_FALSE(store.put(kTarget, small_entry(), reason));
  CHECK(reason.find("Not a directory") != std::string::npos);
  CHECK(read_bytes(folder / "cache") == "a file");
  CHECK_FALSE(FileSystem::real().make_private_directories(folder / "cache", reason));
}

TEST_CASE("a place where not even root can write is a miss and a failed put") {
  const Store store("/proc/allnorm");
  std::string reason;
  CHECK_FALSE(store.get(kTarget, small_entry().key, reason).has_value());
  CHECK_FALSE(store.put(kTarget, small_entry(), reason));
  CHECK_FALSE(reason.empty());
}

TEST_CASE("another user's folder is read if root made it, and a put into it fails") {
  if (::geteuid() != 0) return;  // Only root can become another user.
  Fixture f;
  for (fs::path up = fs::path(f.path).parent_path(); up != fs::path(f.folder.path()).parent_path();
       up = up.parent_path()) {
    fs::permissions(up, fs::perms(0755));
  }
  fs::permissions(f.path, fs::perms(0644));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::seteuid(65534) != 0) ::_exit(9);
    std::string reason;
    const Store store(f.folder / "cache");
    const bool readable = store.get(kTarget, f.entry.key, reason) == f.entry;
    const bool kept = store.put(kTarget, f.entry, reason);
    const bool said = reason.find("Permission denied") != std::string::npos;
    ::_exit((readable ? 0 : 1) + (kept ? 2 : 0) + (said ? 0 : 4));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("folders that exist keep their mode") {
  Folder folder;
  fs::create_directory(folder / "cache");
  fs::permissions(folder / "cache", fs::perms(0755));
  std::string reason;
  CHECK(Store(folder / "cache").put(kTarget, small_entry(), reason));
  CHECK(mode_of(folder / "cache") == 0755);
  CHECK(mode_of(folder / "cache/v1") == 0700);
}

}  // namespace allnorm::cache::test
