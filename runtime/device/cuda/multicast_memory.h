// MulticastMemory: CUDA's multicast object, over the GPUs of a World.
//
// The order is the driver's: made, all GPUs added, then memory bound, then mapped. It is released in the reverse order.
#ifndef ALLNORM_DEVICE_CUDA_MULTICAST_MEMORY_H_
#define ALLNORM_DEVICE_CUDA_MULTICAST_MEMORY_H_

#include <optional>
#include <vector>

#include "device/cuda/driver.h"
#include "device/device.h"

namespace allnorm::cuda {

class MulticastMemory final : public Multicast {
 public:
  /// For `ranks` GPUs, of which `here` are this process's. Without a kind it is for this process alone. Throws kDriver.
  MulticastMemory(const Driver& driver, std::vector<int> here, std::size_t bytes, int ranks,
                  std::optional<MemoryHandle::Kind> kind);
  /// Another process's.
  MulticastMemory(const Driver& driver, int here, std::size_t bytes, int ranks, const MemoryHandle& handle);
  ~MulticastMemory() override;
  MulticastMemory(const MulticastMemory&) = delete;
  MulticastMemory& operator=(const MulticastMemory&) = delete;

  void* data() const noexcept override { return reinterpret_cast<void*>(address_); }
  MemoryHandle export_handle() const override;
  void add() override;
  void bind(std::span<DeviceMemory* const> own) override;
  void map() override;

 private:
  void release() noexcept;

  const Driver& driver_;
  std::vector<int> here_;
  std::optional<MemoryHandle::Kind> kind_;
  std::size_t granularity_ = 0;
  std::size_t bytes_ = 0;  ///< Whole pages.
  CUmemGenericAllocationHandle handle_ = 0;
  std::size_t bound_ = 0;  ///< Of `here_`, the first so many.
  CUdeviceptr address_ = 0;
  bool mapped_ = false;
};

}  // namespace allnorm::cuda

#endif  // ALLNORM_DEVICE_CUDA_MULTICAST_MEMORY_H_
