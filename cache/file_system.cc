#include "cache/file_system.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

namespace allnorm::cache {
namespace {

constexpr int kNameAttempts = 16;

/// "cannot open /a/b: Permission denied"
std::string failure(const char* what, const std::string& path, int error) {
  return std::string("cannot ") + what + " " + path + ": " + std::generic_category().message(error);
}

FileId id_of(const struct stat& status) {
  return {status.st_dev, status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

/// Why such a file must not be read; nullptr if it may.
const char* distrust(const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return "it is not a regular file";
  if (status.st_uid != ::geteuid() && status.st_uid != 0) return "it belongs to another user";
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "others may write it";
  if (status.st_size > FileSystem::kMaxFileBytes) return "it is too large";
  return nullptr;
}

/// The folder that the path's last part is in.
std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// A name that nobody else uses; the dot and the ending tell it from an entry if a crash leaves it
/// behind.
std::optional<std::string> temporary_name(const std::string& path) {
  unsigned char random[8];
  if (::getrandom(random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
    return std::nullopt;
  }
  std::string name = parent_of(path) + "/.";
  for (const unsigned char byte : random) {
    name.push_back("0123456789abcdef"[byte >> 4]);
    name.push_back("0123456789abcdef"[byte & 15]);
  }
  return name + ".tmp";
}

}  // namespace

FileSystem& FileSystem::real() {
  static FileSystem instance;
  return instance;
}

ReadResult FileSystem::read(const std::string& path) {
  ReadResult result;
  // O_NONBLOCK: opening a named pipe would otherwise wait for a writer.
  const int fd =
      open_retrying(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0);
  if (fd < 0) {
    const int error = errno;
    struct stat status{};
    if (error == ENOENT || error == ENOTDIR) {
      result.status = ReadResult::Status::kAbsent;
    } else if (error == ELOOP && sys_lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
      result.status = ReadResult::Status::kUntrusted;
      result.id = id_of(status);
      result.reason = "will not read " + path + ": it is a symbolic link";
    } else {
      result.reason = failure("open", path, error);
    }
    return result;
  }
  struct stat status{};
  if (sys_fstat(fd, &status) != 0) {
    result.reason = failure("examine", path, errno);
  } else if (const char* why = distrust(status)) {
    result.status = ReadResult::Status::kUntrusted;
    result.id = id_of(status);
    result.reason = "will not read " + path + ": " + why;
  } else {
    bool complete = false;
    result.id = id_of(status);
    result.bytes = read_all(fd, status.st_size, complete);
    if (complete) {
      result.status = ReadResult::Status::kOk;
    } else {
      result.reason = failure("read", path, errno);
    }
  }
  sys_close(fd);
  return result;
}

bool FileSystem::publish(const std::string& path, std::string_view bytes, std::string& reason) {
  std::string temporary;
  int fd = -1;
  for (int attempt = 0; fd < 0 && attempt < kNameAttempts; ++attempt) {
    const auto name = temporary_name(path);
    if (!name) break;
    temporary = *name;
    fd = open_retrying(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       S_IRUSR | S_IWUSR);
    if (fd < 0 && errno != EEXIST) break;
  }
  if (fd < 0) {
    reason = failure("create a file in", parent_of(path), errno);
    return false;
  }
  // Some file systems report a full disk only when the file is synchronised or closed.
  const char* step = nullptr;
  int error = 0;
  const auto check = [&](bool ok, const char* what) {
    if (ok || step != nullptr) return;
    step = what;
    error = errno;
  };
  check(write_all(fd, bytes), "write");
  if (step == nullptr) check(sync(fd), "synchronise");
  check(sys_close(fd) == 0, "close");
  if (step == nullptr) check(sys_rename(temporary.c_str(), path.c_str()) == 0, "rename to");
  if (step != nullptr) {
    reason = failure(step, path, error);
    sys_unlink(temporary.c_str());
    return false;
  }
  sync_directory(parent_of(path));
  return true;
}

bool FileSystem::make_private_directories(const std::string& path, std::string& reason) {
  struct stat status{};
  if (sys_stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return true;
    reason = failure("use", path, ENOTDIR);
    return false;
  }
  if (errno != ENOENT) {
    reason = failure("use", path, errno);
    return false;
  }
  const std::string parent = parent_of(path);
  if (parent == path || !make_private_directories(parent, reason)) return false;
  if (sys_mkdir(path.c_str(), S_IRWXU) == 0) {
    sync_directory(parent);
    return true;
  }
  // Another thread or process may have made it meanwhile.
  const int error = errno;
  if (error == EEXIST && sys_stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    return true;
  }
  reason = failure("make", path, error);
  return false;
}

bool FileSystem::remove_if_unchanged(const std::string& path, const FileId& id,
                                     std::string& reason) {
  struct stat status{};
  if (sys_lstat(path.c_str(), &status) != 0) {
    reason = failure("examine", path, errno);
    return false;
  }
  if (id_of(status) != id) {
    reason = path + " has changed meanwhile";
    return false;
  }
  if (sys_unlink(path.c_str()) != 0) {
    reason = failure("remove", path, errno);
    return false;
  }
  return true;
}

int FileSystem::open_retrying(const char* path, int flags, mode_t mode) {
  int fd = -1;
  do {
    fd = sys_open(path, flags, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

std::string FileSystem::read_all(int fd, std::int64_t size, bool& complete) {
  std::string bytes(static_cast<std::size_t>(size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = sys_read(fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;  // It became shorter while it was read.
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  complete = done == bytes.size();
  return complete ? bytes : std::string();
}

bool FileSystem::write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = sys_write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put == 0) errno = ENOSPC;
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

bool FileSystem::sync(int fd) {
  int result = -1;
  do {
    result = sys_fsync(fd);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

/// Makes a rename last through a crash. If it fails, the entry may be missing after a crash: a
/// miss, and so no error.
void FileSystem::sync_directory(const std::string& path) {
  const int fd = open_retrying(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return;
  sync(fd);
  sys_close(fd);
}

int FileSystem::sys_open(const char* path, int flags, mode_t mode) {
  return ::open(path, flags, mode);
}
int FileSystem::sys_fstat(int fd, struct stat* status) { return ::fstat(fd, status); }
int FileSystem::sys_lstat(const char* path, struct stat* status) { return ::lstat(path, status); }
int FileSystem::sys_stat(const char* path, struct stat* status) { return ::stat(path, status); }
ssize_t FileSystem::sys_read(int fd, void* buffer, std::size_t size) {
  return ::read(fd, buffer, size);
}
ssize_t FileSystem::sys_write(int fd, const void* bytes, std::size_t size) {
  return ::write(fd, bytes, size);
}
int FileSystem::sys_fsync(int fd) { return ::fsync(fd); }
int FileSystem::sys_close(int fd) { return ::close(fd); }
int FileSystem::sys_rename(const char* from, const char* to) { return ::rename(from, to); }
int FileSystem::sys_unlink(const char* path) { return ::unlink(path); }
int FileSystem::sys_mkdir(const char* path, mode_t mode) { return ::mkdir(path, mode); }

}  // namespace allnorm::cache
