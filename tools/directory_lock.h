// DirectoryLock: among runs that change one directory's manifest, one at a time does.
#ifndef ALLNORM_TOOLS_DIRECTORY_LOCK_H_
#define ALLNORM_TOOLS_DIRECTORY_LOCK_H_

#include <string>

namespace allnorm::tools {

/// A lock on the directory itself: it leaves no file, holds for every user and container, however the path is written,
/// and ends with its process. Waits for at most half a minute.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& directory);
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock();

  bool is_held() const noexcept { return reason_.empty(); }
  /// Why it is not held.
  const std::string& reason() const noexcept { return reason_; }

 private:
  int fd_ = -1;
  std::string reason_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_DIRECTORY_LOCK_H_
