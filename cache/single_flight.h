// SingleFlight: among the processes that want to make one thing, one makes it and the others wait, for a time.
//
// A help against work done twice, and nothing else: whoever cannot lock, or has waited long enough, goes ahead. A lock
// is a byte of a file, which the kernel frees when its holder dies. The file should be in a local directory that no
// other user can write.
//
// Thread safety: enter() may be called from any thread; a thread that waits for a turn of its own process waits like
// any other.
#ifndef ALLNORM_CACHE_SINGLE_FLIGHT_H_
#define ALLNORM_CACHE_SINGLE_FLIGHT_H_

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "cache/file_system.h"

namespace allnorm::cache {

class SingleFlight {
 public:
  /// The directory is made when the first turn is asked for; where it cannot be used, the other one is, and the reason
  /// is told all the same. Empty: there is none. `files` outlives this object.
  SingleFlight(std::string directory, FileSystem& files, std::string otherwise = {})
      : directory_(std::move(directory)), otherwise_(std::move(otherwise)), files_(&files) {}

  /// Until it is destroyed, the others wait.
  class Turn {
   public:
    enum class State {
      kAlone,    ///< Nobody else makes it.
      kBusy,     ///< Somebody did for all the time that we waited.
      kUnlocked  ///< There are no locks here.
    };
    Turn(State state, bool waited, FileSystem* files, int fd)
        : state_(state), waited_(waited), files_(files), fd_(fd) {}
    Turn(Turn&& other) noexcept
        : state_(other.state_), waited_(other.waited_), files_(other.files_), fd_(std::exchange(other.fd_, -1)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (fd_ >= 0) files_->close_lock_file(fd_);
    }
    State state() const noexcept { return state_; }
    /// Somebody had the lock when we came: what we want may have been made meanwhile.
    bool waited() const noexcept { return waited_; }

   private:
    State state_;
    bool waited_;
    FileSystem* files_;
    int fd_;
  };

  /// Waits for at most `limit`; 0 does not wait. `reason` says what is wrong with the
  /// locks. Throws std::bad_alloc alone.
  Turn enter(std::string_view key, std::chrono::milliseconds limit, std::string& reason) const;

 private:
  /// The file with the locks; -1 if there is none, with the reason unless no directory was given.
  int open_in(const std::string& directory, std::string& reason) const;

  std::string directory_;
  std::string otherwise_;
  FileSystem* files_;
};

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_SINGLE_FLIGHT_H_
