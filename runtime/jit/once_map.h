// OnceMap: values that are made once each, when somebody first asks.
//
// Any thread; who asks while a value is made waits for it. A failure is everyone's who waits, and whoever asks later
// tries again, since the cause may have passed. Values live as long as the map, and do not move.
#ifndef ALLNORM_JIT_ONCE_MAP_H_
#define ALLNORM_JIT_ONCE_MAP_H_

#include <future>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace allnorm {

template <typename Key, typename Value, typename Hash>
class OnceMap {
 public:
  /// `make` returns a std::unique_ptr<Value>, or throws.
  template <typename Make>
  const Value& get(const Key& key, Make make) {
    std::promise<std::unique_ptr<Value>> promise;
    std::shared_future<std::unique_ptr<Value>> future;
    bool ours = false;
    {
      const std::lock_guard lock(mutex_);
      const auto [at, inserted] = values_.try_emplace(key);
      if (inserted) at->second = promise.get_future().share();
      future = at->second;
      ours = inserted;
    }
    if (ours) {
      try {
        promise.set_value(make());
      } catch (...) {
        {
          const std::lock_guard lock(mutex_);
          values_.erase(key);
        }
        promise.set_exception(std::current_exception());
      }
    }
    return *future.get();
  }

  /// Whether it is made, or being made.
  bool contains(const Key& key) {
    const std::lock_guard lock(mutex_);
    return values_.contains(key);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<Key, std::shared_future<std::unique_ptr<Value>>, Hash> values_;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_ONCE_MAP_H_
