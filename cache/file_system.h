// The seam to the disk: every file operation of the cache goes through a FileSystem.
//
// The operations neither throw for what the disk does nor trust what they find there: they say what
// happened, with a reason for a person. Beneath them, each system call is a virtual function, so
// that a test can make any of them fail where a real disk would.
//
// Thread safety: no state; all operations may run at once, in any number of threads and processes.
#ifndef ALLNORM_CACHE_FILE_SYSTEM_H_
#define ALLNORM_CACHE_FILE_SYSTEM_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace allnorm::cache {

/// Which file, in which state: changes when another is renamed into its place, or when it is
/// written to.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t mtime_seconds = 0;
  std::int64_t mtime_nanoseconds = 0;
  bool operator==(const FileId&) const = default;
};

struct ReadResult {
  enum class Status {
    kOk,         ///< `bytes` is all of the file.
    kAbsent,     ///< There is no such file.
    kUntrusted,  ///< Something is there that must not be read; `id` says what.
    kFailed      ///< The disk says no.
  };
  Status status = Status::kFailed;
  std::string bytes;
  FileId id;
  std::string reason;
};

/// Whose files may be read.
enum class Trust {
  kOwn,      ///< Those of the effective user or of root, that nobody else may write.
  kAnyOwner  ///< Any: what they hold is checked against something that is trusted.
};

/// What is in a folder.
struct FolderItem {
  std::string name;
  FileId id;
  std::int64_t bytes = 0;
  bool is_folder = false;
};

enum class LockResult {
  kLocked,
  kBusy,    ///< Somebody else has it.
  kRefused  ///< This file system has no locks, or the file cannot be opened.
};

class FileSystem {
 public:
  /// What read() takes for too large to be meant seriously.
  static constexpr std::int64_t kMaxFileBytes = std::int64_t{256} << 20;

  virtual ~FileSystem() = default;

  /// The real one.
  static FileSystem& real();

  /// Reads a regular file that is no symbolic link.
  ReadResult read(const std::string& path, Trust trust = Trust::kOwn);

  /// Puts a file of these bytes, mode 0600, at the path, in place of what is there: at any time,
  /// also after a crash, readers find the old file or the new one. False, with the reason, if it
  /// could not. A crash leaves a temporary file, which remove_if_abandoned() knows.
  bool publish(const std::string& path, std::string_view bytes, std::string& reason);

  /// Makes the directories of the path that do not exist, mode 0700. True if it is then a
  /// directory.
  bool make_private_directories(const std::string& path, std::string& reason);

  /// Whether the directory is the effective user's, and nobody else may write to it.
  bool is_private_directory(const std::string& path, std::string& reason);

  /// Removes the file if it still is the one that was read; leaves what somebody has put there
  /// since. True if it is gone, whoever removed it. (Something put there in the instant between the look and the
  /// removal is lost; to a cache that is a miss.)
  bool remove_if_unchanged(const std::string& path, const FileId& id, std::string& reason);

  /// Whether the name is one that publish() gives to its temporary files.
  static bool is_temporary(std::string_view name) noexcept;

  /// Removes a temporary file if its publish() is over: nobody holds its lock, or where there are no locks, it is old.
  bool remove_if_abandoned(const std::string& path, std::string& reason);

  /// What is in the folder, without "." and "..", in no order; what vanishes meanwhile is left out. False, with the
  /// reason, if it could not be read; a folder that does not exist is empty.
  bool list(const std::string& path, std::vector<FolderItem>& items, std::string& reason);

  /// Makes now the time of the file's last change.
  bool touch(const std::string& path, std::string& reason);

  /// Adds a line to the end of a file, which is made if need be, mode 0600; lines of several processes do not mix.
  bool append_line(const std::string& path, std::string_view line, std::string& reason);

  /// Opens a file for try_lock(), and makes it if need be, mode 0600; -1, with the reason, if it could not.
  int open_lock_file(const std::string& path, std::string& reason);
  /// Locks one byte of the file, which need not exist, for whoever has this descriptor; never waits. The kernel unlocks
  /// when the descriptor is closed, so also when its process dies.
  LockResult try_lock(int fd, std::int64_t byte, std::string& reason);
  /// Unlocks and closes. Closing alone does not unlock while a child that was forked meanwhile has the descriptor too.
  void close_lock_file(int fd);

 protected:
  virtual int sys_open(const char* path, int flags, mode_t mode);
  virtual int sys_fstat(int fd, struct stat* status);
  virtual int sys_lstat(const char* path, struct stat* status);
  virtual int sys_stat(const char* path, struct stat* status);
  virtual ssize_t sys_read(int fd, void* buffer, std::size_t size);
  virtual ssize_t sys_write(int fd, const void* bytes, std::size_t size);
  virtual int sys_fsync(int fd);
  virtual int sys_close(int fd);
  virtual int sys_duplicate(int fd);
  virtual int sys_rename(const char* from, const char* to);
  virtual int sys_unlink(const char* path);
  virtual int sys_mkdir(const char* path, mode_t mode);
  virtual int sys_lock(int fd, std::int64_t first_byte, std::int64_t bytes);
  virtual int sys_unlock(int fd);
  virtual int sys_touch(const char* path);
  virtual int sys_list(const char* path, std::vector<std::string>& names);

 private:
  int open_retrying(const char* path, int flags, mode_t mode);
  bool write_all(int fd, std::string_view bytes);
  bool sync(int fd);
  void sync_directory(const std::string& path);
  std::string read_all(int fd, std::int64_t size, bool& complete);
  int publish_once(const std::string& path, std::string_view bytes, std::string& reason);
  int open_temporary(const std::string& path, std::string& name);
  bool lock_temporary(int fd);
};

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_FILE_SYSTEM_H_
