// A disk on which one chosen operation goes wrong, in one of many ways.
#ifndef ALLNORM_TESTS_FAULT_FAULTY_FILES_H_
#define ALLNORM_TESTS_FAULT_FAULTY_FILES_H_

#include <unistd.h>

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "cache/file_system.h"

namespace allnorm::testing {

/// The real disk, but that nothing waits for it: tests cut no power.
class QuickFiles : public cache::FileSystem {
 protected:
  int sys_fsync(int /*fd*/) override { return 0; }
};

enum class Fault {
  kNoSpace,      ///< ENOSPC
  kIo,           ///< EIO
  kNoAccess,     ///< EACCES
  kReadOnly,     ///< EROFS
  kStale,        ///< ESTALE, of network disks.
  kInterrupted,  ///< EINTR, once.
  kFewBytes,     ///< A read or write moves half of the bytes.
  kEndOfFile,    ///< A read finds the file shorter than it was.
  kVanish,       ///< The file is removed just before, by somebody else.
  kCacheGone,    ///< All of the cache is removed just before.
  kDead,         ///< EIO, from here on.
  kFull,         ///< ENOSPC for all that writes, from here on, after half of a write.
  kFrozen,       ///< EROFS for all that changes anything, from here on.
  kDies          ///< The process is gone.
};

inline constexpr std::array kFaults = {Fault::kNoSpace, Fault::kIo,        Fault::kNoAccess,  Fault::kReadOnly,
                                       Fault::kStale,   Fault::kFewBytes,  Fault::kEndOfFile, Fault::kInterrupted,
                                       Fault::kVanish,  Fault::kCacheGone, Fault::kDead,      Fault::kFull,
                                       Fault::kFrozen};

const char* to_string(Fault fault) noexcept;

class FaultyFiles : public QuickFiles {
 public:
  /// The `at`-th call, counted from 1, goes wrong; 0: none does. `cache` is what kCacheGone removes.
  FaultyFiles(Fault fault, std::size_t at, std::string cache) : fault_(fault), at_(at), cache_(std::move(cache)) {}

  std::size_t calls() const noexcept { return calls_; }
  /// Which call it was; empty if it never came, or if the fault is none for such a call.
  const std::string& hit() const noexcept { return hit_; }

 protected:
  int sys_open(const char* path, int flags, mode_t mode) override;
  int sys_fstat(int fd, struct stat* status) override;
  int sys_lstat(const char* path, struct stat* status) override;
  int sys_stat(const char* path, struct stat* status) override;
  ssize_t sys_read(int fd, void* buffer, std::size_t size) override;
  ssize_t sys_write(int fd, const void* bytes, std::size_t size) override;
  int sys_fsync(int fd) override;
  int sys_close(int fd) override;
  int sys_duplicate(int fd) override;
  int sys_rename(const char* from, const char* to) override;
  int sys_unlink(const char* path) override;
  int sys_mkdir(const char* path, mode_t mode) override;
  int sys_lock(int fd, std::int64_t first_byte, std::int64_t bytes) override;
  int sys_unlock(int fd) override;
  int sys_touch(const char* path) override;
  int sys_list(const char* path, std::vector<std::string>& names) override;

 private:
  enum class Does { kLooks, kReads, kWrites, kChanges };
  /// Whether the call fails, with errno. `size`, of reads and writes, is what it may move.
  bool fails(const char* call, const std::string& path, Does does, std::size_t* size = nullptr);

  const Fault fault_;
  const std::size_t at_;
  const std::string cache_;
  std::size_t calls_ = 0;
  std::string hit_;
  std::map<int, std::string> opened_;
};

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_FAULT_FAULTY_FILES_H_
