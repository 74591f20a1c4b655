// Cache: where compiled kernels are looked for and kept: prebuilt directories, then the user's.
//
// What cannot be read is a miss and what cannot be written is not kept; a call never fails for the disk. The reasons go
// to whoever wants to log them. Thread safety: any thread.
#ifndef ALLNORM_CACHE_CACHE_H_
#define ALLNORM_CACHE_CACHE_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/entry.h"
#include "cache/file_system.h"
#include "cache/prebuilt_directory.h"
#include "cache/prune.h"
#include "cache/single_flight.h"
#include "cache/store.h"

namespace allnorm::cache {

enum class Mode {
  kNormal,      ///< Read, and keep what is compiled.
  kReadOnly,    ///< Read; compile what is missing, and keep nothing.
  kRequireHit,  ///< Read; what is missing is an error. Nothing is compiled or written.
  kOff          ///< Compile everything, and keep nothing.
};

struct CacheOptions {
  Mode mode = Mode::kNormal;
  std::string directory;       ///< The user's, absolute; empty: there is none.
  std::string lock_directory;  ///< Absolute, on a local disk; empty: <directory>/locks.
  std::vector<std::string> prebuilt_directories;
  std::int64_t max_bytes = kNoLimit;
};

class Cache {
 public:
  /// `report` gets every reason; from any thread. `files` outlives the cache.
  Cache(const CacheOptions& options, std::function<void(const std::string&)> report,
        FileSystem& files = FileSystem::real());

  Mode mode() const noexcept { return options_.mode; }
  const CacheOptions& options() const noexcept { return options_; }
  bool has_prebuilt() const noexcept { return !prebuilt_.empty(); }
  /// The user's directory; null where it is not used.
  const Store* store() const noexcept { return store_ ? &*store_ : nullptr; }

  struct Prebuilt {
    Entry entry;
    std::size_t next;  ///< The first directory that was not looked into.
  };
  /// `first`: of the directories, in their order.
  std::optional<Prebuilt> find_prebuilt(std::string_view target, std::string_view key, std::size_t first = 0) const;
  std::optional<Entry> find_own(std::string_view target, std::string_view key) const;
  void keep(std::string_view target, const Entry& entry) const;

  /// Whose turn it is to make the entry; nobody waits where nothing is kept. That there are no locks is reported once.
  SingleFlight::Turn enter(std::string_view key, std::chrono::milliseconds limit) const;

 private:
  CacheOptions options_;
  std::function<void(const std::string&)> report_;
  std::vector<std::unique_ptr<PrebuiltDirectory>> prebuilt_;
  std::optional<Store> store_;
  SingleFlight single_flight_;
  mutable std::atomic<bool> said_unlocked_ = false;
};

}  // namespace allnorm::cache

#endif  // ALLNORM_CACHE_CACHE_H_
