// AddressCache: address ranges known to be memory of the right GPU, so that a warm call asks the driver nothing.
//
// One thread at a time. A range that was freed and given to another GPU since is not noticed: this check is a help
// against mistakes, not a protection.
#ifndef ALLNORM_COMM_ADDRESS_CACHE_H_
#define ALLNORM_COMM_ADDRESS_CACHE_H_

#include <array>
#include <cstdint>

#include "device/device.h"

namespace allnorm {

class AddressCache {
 public:
  bool contains(const void* address) const noexcept {
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    for (const auto& range : ranges_) {
      if (value >= range.begin && value < range.end) return true;
    }
    return false;
  }

  /// Replaces the oldest.
  void insert(const Device::AddressRange& range) noexcept {
    ranges_[next_] = range;
    next_ = (next_ + 1) % ranges_.size();
  }

 private:
  std::array<Device::AddressRange, 16> ranges_{};
  std::size_t next_ = 0;
};

}  // namespace allnorm

#endif  // ALLNORM_COMM_ADDRESS_CACHE_H_
