#include "cache/single_flight.h"

#include <algorithm>
#include <cstdint>
#include <thread>

#include "cache/sha256.h"

namespace allnorm::cache {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kFirstPause = 1ms;
constexpr std::chrono::milliseconds kLongestPause = 20ms;

/// Two keys of one byte would only wait for each other.
std::int64_t lock_byte(std::string_view key) {
  const Digest digest = sha256(key);
  std::int64_t byte = 0;
  for (int i = 0; i < 7; i++) byte = byte << 8 | digest[static_cast<std::size_t>(i)];
  return byte;
}

}  // namespace

int SingleFlight::open_in(const std::string& directory, std::string& reason) const {
  if (directory.empty() || !files_->make_private_directories(directory, reason) ||
      !files_->is_private_directory(directory, reason)) {
    return -1;
  }
  return files_->open_lock_file(directory + "/compiling", reason);
}

SingleFlight::Turn SingleFlight::enter(std::string_view key, std::chrono::milliseconds limit,
                                       std::string& reason) const {
  reason.clear();
  int fd = open_in(directory_, reason);
  if (fd < 0) {
    std::string reason_of_other;
    fd = open_in(otherwise_, reason_of_other);
    if (fd < 0) return {Turn::State::kUnlocked, false, files_, -1};
  }

  const auto deadline = std::chrono::steady_clock::now() + limit;
  bool waited = false;
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    switch (files_->try_lock(fd, lock_byte(key), reason)) {
      case LockResult::kLocked: return {Turn::State::kAlone, waited, files_, fd};
      case LockResult::kRefused: return {Turn::State::kUnlocked, waited, files_, fd};
      case LockResult::kBusy: break;
    }
    waited = true;
    if (std::chrono::steady_clock::now() >= deadline) return {Turn::State::kBusy, true, files_, fd};
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace allnorm::cache
