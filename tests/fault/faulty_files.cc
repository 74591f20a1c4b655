#include "faulty_files.h"

#include <fcntl.h>

#include <cerrno>
#include <filesystem>

namespace allnorm::testing {

const char* to_string(Fault fault) noexcept {
  switch (fault) {
    case Fault::kNoSpace: return "ENOSPC";
    case Fault::kIo: return "EIO";
    case Fault::kNoAccess: return "EACCES";
    case Fault::kReadOnly: return "EROFS";
    case Fault::kStale: return "ESTALE";
    case Fault::kInterrupted: return "EINTR";
    case Fault::kFewBytes: return "few bytes";
    case Fault::kEndOfFile: return "end of file";
    case Fault::kVanish: return "file gone";
    case Fault::kCacheGone: return "cache gone";
    case Fault::kDead: return "disk dead";
    case Fault::kFull: return "disk full";
    case Fault::kFrozen: return "disk read-only";
    case Fault::kDies: return "process dies";
  }
  return "";
}

bool FaultyFiles::fails(const char* call, const std::string& path, Does does, std::size_t* size) {
  const bool lasts = fault_ == Fault::kDead || fault_ == Fault::kFull || fault_ == Fault::kFrozen;
  calls_++;
  if (at_ == 0 || calls_ < at_ || (calls_ > at_ && !lasts)) return false;
  const bool first = calls_ == at_;
  const auto fail = [&](int error) {
    if (first) hit_ = call;
    errno = error;
    return true;
  };
  const auto pass = [&] {
    if (first) hit_ = call;
    return false;
  };
  switch (fault_) {
    case Fault::kNoSpace: return fail(ENOSPC);
    case Fault::kIo:
    case Fault::kDead: return fail(EIO);
    case Fault::kNoAccess: return fail(EACCES);
    case Fault::kReadOnly: return fail(EROFS);
    case Fault::kStale: return fail(ESTALE);
    case Fault::kInterrupted: return fail(EINTR);
    case Fault::kFewBytes:
      if (size == nullptr || *size < 2) return false;
      *size /= 2;
      return pass();
    case Fault::kEndOfFile:
      if (does != Does::kReads) return false;
      *size = 0;
      return pass();
    case Fault::kVanish: {
      std::error_code ignored;
      return std::filesystem::remove(path, ignored) ? pass() : false;
    }
    case Fault::kCacheGone: {
      std::error_code ignored;
      std::filesystem::remove_all(cache_, ignored);
      return pass();
    }
    case Fault::kFull:
      if (first && size != nullptr && does == Does::kWrites) {
        *size /= 2;
        return pass();
      }
      if (first) hit_ = call;
      return does == Does::kWrites && fail(ENOSPC);
    case Fault::kFrozen:
      if (first) hit_ = call;
      return (does == Does::kWrites || does == Does::kChanges) && fail(EROFS);
    case Fault::kDies: ::_exit(0);
  }
  return false;
}

int FaultyFiles::sys_open(const char* path, int flags, mode_t mode) {
  const bool creates = (flags & O_CREAT) != 0;
  if (fails(creates ? "create" : "open", path, creates ? Does::kWrites : Does::kLooks)) return -1;
  const int fd = QuickFiles::sys_open(path, flags, mode);
  if (fd >= 0) opened_[fd] = path;
  return fd;
}

int FaultyFiles::sys_fstat(int fd, struct stat* status) {
  return fails("fstat", opened_[fd], Does::kLooks) ? -1 : QuickFiles::sys_fstat(fd, status);
}

int FaultyFiles::sys_lstat(const char* path, struct stat* status) {
  return fails("lstat", path, Does::kLooks) ? -1 : QuickFiles::sys_lstat(path, status);
}

int FaultyFiles::sys_stat(const char* path, struct stat* status) {
  return fails("stat", path, Does::kLooks) ? -1 : QuickFiles::sys_stat(path, status);
}

ssize_t FaultyFiles::sys_read(int fd, void* buffer, std::size_t size) {
  return fails("read", opened_[fd], Does::kReads, &size) ? -1 : QuickFiles::sys_read(fd, buffer, size);
}

ssize_t FaultyFiles::sys_write(int fd, const void* bytes, std::size_t size) {
  return fails("write", opened_[fd], Does::kWrites, &size) ? -1 : QuickFiles::sys_write(fd, bytes, size);
}

int FaultyFiles::sys_fsync(int fd) {
  return fails("fsync", opened_[fd], Does::kWrites) ? -1 : QuickFiles::sys_fsync(fd);
}

int FaultyFiles::sys_close(int fd) {
  // A close that fails has closed.
  const bool failed = fails("close", opened_[fd], Does::kLooks);
  const int error = errno;
  opened_.erase(fd);
  QuickFiles::sys_close(fd);
  errno = error;
  return failed ? -1 : 0;
}

int FaultyFiles::sys_duplicate(int fd) {
  if (fails("duplicate", opened_[fd], Does::kLooks)) return -1;
  const int copy = QuickFiles::sys_duplicate(fd);
  if (copy >= 0) opened_[copy] = opened_[fd];
  return copy;
}

int FaultyFiles::sys_rename(const char* from, const char* to) {
  return fails("rename", from, Does::kChanges) ? -1 : QuickFiles::sys_rename(from, to);
}

int FaultyFiles::sys_unlink(const char* path) {
  return fails("unlink", path, Does::kChanges) ? -1 : QuickFiles::sys_unlink(path);
}

int FaultyFiles::sys_mkdir(const char* path, mode_t mode) {
  return fails("mkdir", path, Does::kWrites) ? -1 : QuickFiles::sys_mkdir(path, mode);
}

int FaultyFiles::sys_lock(int fd, std::int64_t first_byte, std::int64_t bytes) {
  return fails("lock", opened_[fd], Does::kLooks) ? -1 : QuickFiles::sys_lock(fd, first_byte, bytes);
}

int FaultyFiles::sys_unlock(int fd) {
  return fails("unlock", opened_[fd], Does::kLooks) ? -1 : QuickFiles::sys_unlock(fd);
}

int FaultyFiles::sys_touch(const char* path) {
  return fails("touch", path, Does::kChanges) ? -1 : QuickFiles::sys_touch(path);
}

int FaultyFiles::sys_list(const char* path, std::vector<std::string>& names) {
  return fails("list", path, Does::kLooks) ? -1 : QuickFiles::sys_list(path, names);
}

}  // namespace allnorm::testing
