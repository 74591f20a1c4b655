#include "cache/cache.h"

#include <utility>

namespace allnorm::cache {
namespace {

SingleFlight single_flight(const CacheOptions& options, FileSystem& files) {
  if (options.mode != Mode::kNormal || options.directory.empty()) return {"", files};
  return {options.lock_directory, files, options.directory + "/locks"};
}

}  // namespace

Cache::Cache(const CacheOptions& options, std::function<void(const std::string&)> report, FileSystem& files)
    : options_(options), report_(std::move(report)), single_flight_(single_flight(options, files)) {
  if (options_.mode == Mode::kOff) return;
  for (const std::string& directory : options_.prebuilt_directories) {
    prebuilt_.push_back(std::make_unique<PrebuiltDirectory>(directory, files));
  }
  if (options_.directory.empty()) return;
  store_.emplace(options_.directory, files, StoreOptions{options_.mode != Mode::kNormal, options_.max_bytes});
}

std::optional<Cache::Prebuilt> Cache::find_prebuilt(std::string_view target, std::string_view key,
                                                    std::size_t first) const {
  std::string reason;
  for (std::size_t i = first; i < prebuilt_.size(); i++) {
    auto entry = prebuilt_[i]->get(target, key, reason);
    if (!reason.empty()) report_(reason);
    if (entry) return Prebuilt{std::move(*entry), i + 1};
  }
  return std::nullopt;
}

std::optional<Entry> Cache::find_own(std::string_view target, std::string_view key) const {
  if (!store_) return std::nullopt;
  std::string reason;
  auto entry = store_->get(target, key, reason);
  if (!reason.empty()) report_(reason);
  return entry;
}

void Cache::keep(std::string_view target, const Entry& entry) const {
  if (!store_ || options_.mode != Mode::kNormal) return;
  std::string reason;
  if (!store_->put(target, entry, reason)) report_(reason);
}

SingleFlight::Turn Cache::enter(std::string_view key, std::chrono::milliseconds limit) const {
  std::string reason;
  SingleFlight::Turn turn = single_flight_.enter(key, limit, reason);
  // Without locks kernels may be compiled more than once, which is slower and not wrong.
  // Said once: it is so for every kernel.
  if (!reason.empty() && !said_unlocked_.exchange(true)) report_(reason);
  return turn;
}

}  // namespace allnorm::cache
