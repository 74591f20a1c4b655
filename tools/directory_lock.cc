#include "directory_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

namespace allnorm::tools {
namespace {

constexpr std::chrono::seconds kLongestWait(30);
constexpr std::chrono::milliseconds kPause(10);

}  // namespace

DirectoryLock::DirectoryLock(const std::string& directory)
    : fd_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  const auto deadline = std::chrono::steady_clock::now() + kLongestWait;
  while (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const bool busy = fd_ >= 0 && (errno == EWOULDBLOCK || errno == EINTR);
    if (!busy || std::chrono::steady_clock::now() >= deadline) {
      reason_ = busy ? fmt::format("another run holds {} for {} s", directory, kLongestWait.count())
                     : fmt::format("cannot lock {}: {}", directory, std::generic_category().message(errno));
      return;
    }
    std::this_thread::sleep_for(kPause);
  }
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace allnorm::tools
