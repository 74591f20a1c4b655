// The system calls of FileSystem, each behind its virtual function.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "cache/file_system.h"

namespace allnorm::cache {
namespace {

// A lock belongs to the open file: other descriptors of the process do not drop it, and other threads do not share it.
int set_lock(int fd, short type, std::int64_t first_byte, std::int64_t bytes) {
  struct flock range{};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = first_byte;
  range.l_len = bytes;
  return ::fcntl(fd, F_OFD_SETLK, &range);
}

}  // namespace

int FileSystem::sys_open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }
int FileSystem::sys_fstat(int fd, struct stat* status) { return ::fstat(fd, status); }
int FileSystem::sys_lstat(const char* path, struct stat* status) { return ::lstat(path, status); }
int FileSystem::sys_stat(const char* path, struct stat* status) { return ::stat(path, status); }
ssize_t FileSystem::sys_read(int fd, void* buffer, std::size_t size) { return ::read(fd, buffer, size); }
ssize_t FileSystem::sys_write(int fd, const void* bytes, std::size_t size) { return ::write(fd, bytes, size); }
int FileSystem::sys_fsync(int fd) { return ::fsync(fd); }
int FileSystem::sys_close(int fd) { return ::close(fd); }
int FileSystem::sys_duplicate(int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); }
int FileSystem::sys_rename(const char* from, const char* to) { return ::rename(from, to); }
int FileSystem::sys_unlink(const char* path) { return ::unlink(path); }
int FileSystem::sys_mkdir(const char* path, mode_t mode) { return ::mkdir(path, mode); }

int FileSystem::sys_lock(int fd, std::int64_t first_byte, std::int64_t bytes) {
  return set_lock(fd, F_WRLCK, first_byte, bytes);
}

int FileSystem::sys_unlock(int fd) { return set_lock(fd, F_UNLCK, 0, 0); }

int FileSystem::sys_touch(const char* path) { return ::utimensat(AT_FDCWD, path, nullptr, AT_SYMLINK_NOFOLLOW); }

int FileSystem::sys_list(const char* path, std::vector<std::string>& names) {
  struct Closer {
    void operator()(DIR* folder) const { ::closedir(folder); }
  };
  const std::unique_ptr<DIR, Closer> folder(::opendir(path));
  if (!folder) return -1;
  for (;;) {
    errno = 0;
    const struct dirent* item = ::readdir(folder.get());
    if (item == nullptr) return errno == 0 ? 0 : -1;
    const std::string name = item->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
}

}  // namespace allnorm::cache
