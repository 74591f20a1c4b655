#include "cache/file_system.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>
#include <system_error>

namespace allnorm::cache {
namespace {

constexpr int kNameAttempts = 16;
constexpr std::string_view kTemporaryEnd = ".tmp";
/// Where there are no locks, a temporary file of this age is nobody's any more.
constexpr std::int64_t kAbandonedSeconds = 600;

/// "cannot open /a/b: Permission denied"
std::string failure(const char* what, const std::string& path, int error) {
  return std::string("cannot ") + what + " " + path + ": " + std::generic_category().message(error);
}

FileId id_of(const struct stat& status) {
  return {status.st_dev, status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

/// Why such a file must not be read; nullptr if it may.
const char* distrust(const struct stat& status, Trust trust) {
  if (!S_ISREG(status.st_mode)) return "it is not a regular file";
  if (status.st_size > FileSystem::kMaxFileBytes) return "it is too large";
  if (trust == Trust::kAnyOwner) return nullptr;
  if (status.st_uid != ::geteuid() && status.st_uid != 0) return "it belongs to another user";
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "others may write it";
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
  return name.append(kTemporaryEnd);
}

}  // namespace

FileSystem& FileSystem::real() {
  static FileSystem instance;
  return instance;
}

ReadResult FileSystem::read(const std::string& path, Trust trust) {
  ReadResult result;
  // O_NONBLOCK: opening a named pipe would otherwise wait for a writer.
  const int fd = open_retrying(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0);
  if (fd < 0) {
    const int error = errno;
    struct stat status = {};
    if (error == ENOENT) {
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
  struct stat status = {};
  if (sys_fstat(fd, &status) != 0) {
    result.reason = failure("examine", path, errno);
  } else if (const char* why = distrust(status, trust)) {
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
  int error = publish_once(path, bytes, reason);
  // Where locks are refused, or hold on one machine alone, a prune may have taken the temporary file.
  if (error == ENOENT || error == ESTALE) error = publish_once(path, bytes, reason);
  return error == 0;
}

/// 0, or why not.
int FileSystem::publish_once(const std::string& path, std::string_view bytes, std::string& reason) {
  std::string temporary;
  const int fd = open_temporary(path, temporary);
  if (fd < 0) {
    const int error = errno;
    reason = failure("create a file in", parent_of(path), error);
    return error;
  }
  const char* failed = nullptr;
  int error = 0;
  const auto check = [&](bool ok, const char* what) {
    if (ok || failed != nullptr) return;
    error = errno;
    failed = what;
  };
  // Keeps the lock until the file has its name.
  const int lock = sys_duplicate(fd);
  // Some file systems report a full disk only when the file is synchronised or closed.
  check(write_all(fd, bytes), "write");
  if (failed == nullptr) check(sync(fd), "synchronise");
  check(sys_close(fd) == 0, "close");
  if (failed == nullptr) check(sys_rename(temporary.c_str(), path.c_str()) == 0, "rename to");
  if (failed != nullptr) sys_unlink(temporary.c_str());
  if (lock >= 0) close_lock_file(lock);
  if (failed != nullptr) {
    reason = failure(failed, path, error);
  } else {
    sync_directory(parent_of(path));
  }
  return error;
}

/// A new file beside the path, locked; -1 if there is none.
int FileSystem::open_temporary(const std::string& path, std::string& name) {
  for (int attempt = 0; attempt < kNameAttempts; attempt++) {
    const auto random = temporary_name(path);
    if (!random) return -1;
    name = *random;
    const int fd = open_retrying(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0 && errno != EEXIST) return -1;
    if (fd < 0) continue;
    if (lock_temporary(fd)) return fd;
    sys_unlink(name.c_str());
    close_lock_file(fd);
  }
  errno = EBUSY;
  return -1;
}

/// False if remove_if_abandoned() came between the file's making and its locking.
bool FileSystem::lock_temporary(int fd) {
  std::string reason;
  struct stat status = {};
  switch (try_lock(fd, 0, reason)) {
    case LockResult::kLocked: return sys_fstat(fd, &status) != 0 || status.st_nlink > 0;
    case LockResult::kBusy: return false;
    case LockResult::kRefused: break;  // The file's age protects it.
  }
  return true;
}

bool FileSystem::make_private_directories(const std::string& path, std::string& reason) {
  struct stat status = {};
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

bool FileSystem::is_private_directory(const std::string& path, std::string& reason) {
  struct stat status = {};
  if (sys_stat(path.c_str(), &status) != 0) {
    reason = failure("use", path, errno);
    return false;
  }
  const bool is_ours = status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (!is_ours) reason = "will not use " + path + ": others may write to it";
  return is_ours;
}

bool FileSystem::remove_if_unchanged(const std::string& path, const FileId& id, std::string& reason) {
  struct stat status = {};
  if (sys_lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return true;
    reason = failure("examine", path, errno);
    return false;
  }
  if (id_of(status) != id) {
    reason = path + " has changed meanwhile";
    return false;
  }
  if (sys_unlink(path.c_str()) != 0 && errno != ENOENT) {
    reason = failure("remove", path, errno);
    return false;
  }
  return true;
}

bool FileSystem::is_temporary(std::string_view name) noexcept {
  constexpr std::size_t kDigits = 16;
  return name.size() == 1 + kDigits + kTemporaryEnd.size() && name.front() == '.' && name.ends_with(kTemporaryEnd) &&
         name.substr(1, kDigits).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool FileSystem::remove_if_abandoned(const std::string& path, std::string& reason) {
  const int fd = open_retrying(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0);
  if (fd < 0) {
    reason = failure("open", path, errno);
    return false;
  }
  struct stat status = {};
  bool abandoned = false;
  switch (try_lock(fd, 0, reason)) {
    case LockResult::kLocked: abandoned = true; break;
    case LockResult::kBusy: reason = path + " is being written"; break;
    case LockResult::kRefused:
      abandoned = sys_fstat(fd, &status) == 0 && status.st_mtim.tv_sec + kAbandonedSeconds < ::time(nullptr);
      if (!abandoned) reason = path + " may still be written to: " + reason;
  }
  if (abandoned && sys_unlink(path.c_str()) != 0) {
    reason = failure("remove", path, errno);
    abandoned = false;
  }
  close_lock_file(fd);
  return abandoned;
}

bool FileSystem::list(const std::string& path, std::vector<FolderItem>& items, std::string& reason) {
  items.clear();
  std::vector<std::string> names;
  if (sys_list(path.c_str(), names) != 0) {
    if (errno == ENOENT) return true;
    reason = failure("list", path, errno);
    return false;
  }
  for (std::string& name : names) {
    std::string item = path;
    item.append("/").append(name);
    struct stat status = {};
    if (sys_lstat(item.c_str(), &status) != 0) continue;
    items.push_back({std::move(name), id_of(status), status.st_size, S_ISDIR(status.st_mode)});
  }
  return true;
}

bool FileSystem::touch(const std::string& path, std::string& reason) {
  if (sys_touch(path.c_str()) == 0) return true;
  reason = failure("mark as used", path, errno);
  return false;
}

bool FileSystem::append_line(const std::string& path, std::string_view line, std::string& reason) {
  // Without O_NONBLOCK a pipe that nobody reads would be waited for.
  const int fd =
      open_retrying(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
  if (fd < 0) {
    reason = failure("open", path, errno);
    return false;
  }
  // In one write, which O_APPEND keeps whole.
  const bool written = write_all(fd, std::string(line) + "\n");
  if (!written) reason = failure("write to", path, errno);
  sys_close(fd);
  return written;
}

int FileSystem::open_lock_file(const std::string& path, std::string& reason) {
  const int fd =
      open_retrying(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
  if (fd < 0) reason = failure("open", path, errno);
  return fd;
}

LockResult FileSystem::try_lock(int fd, std::int64_t byte, std::string& reason) {
  int result = -1;
  do {
    result = sys_lock(fd, byte, 1);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return LockResult::kLocked;
  // EACCES is no conflict on Linux, but a policy that refuses locks.
  if (errno == EAGAIN) return LockResult::kBusy;
  reason = "cannot lock: " + std::generic_category().message(errno);
  return LockResult::kRefused;
}

void FileSystem::close_lock_file(int fd) {
  sys_unlock(fd);
  sys_close(fd);
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

}  // namespace allnorm::cache
