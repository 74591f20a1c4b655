// Device memory: plain, symmetric (mapped for every GPU of a world), and shared with other processes.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "allnorm/error.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/multicast_memory.h"
#include "device/cuda/virtual_memory.h"

namespace allnorm::cuda {
namespace {

class PlainMemory final : public DeviceMemory {
 public:
  PlainMemory(const CudaDevice& device, std::size_t bytes) : device_(device) {
    const CurrentContext current(device_.driver(), device_.context());
    const BesideCaptures beside(device_.driver());
    device_.driver().check(device_.driver().cuMemAlloc(&address_, bytes), "cuMemAlloc");
  }
  ~PlainMemory() override {
    CUcontext before = nullptr;
    device_.driver().cuCtxGetCurrent(&before);
    device_.driver().cuCtxSetCurrent(device_.context());
    const BesideCaptures beside(device_.driver());
    device_.driver().cuMemFree(address_);
    device_.driver().cuCtxSetCurrent(before);
  }
  PlainMemory(const PlainMemory&) = delete;
  PlainMemory& operator=(const PlainMemory&) = delete;
  void* data() const noexcept override { return reinterpret_cast<void*>(address_); }

 private:
  const CudaDevice& device_;
  CUdeviceptr address_ = 0;
};

void check_has_multicast(const Driver& driver, int gpu) {
  int supported = 0;
  driver.check(driver.cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED, gpu),
               "cuDeviceGetAttribute");
  if (supported == 0) throw Error(ErrorCode::kUnsupported, fmt::format("GPU {} has no multicast", gpu));
}

}  // namespace

std::unique_ptr<DeviceMemory> CudaDevice::allocate(std::size_t bytes) {
  return std::make_unique<PlainMemory>(*this, bytes);
}

std::unique_ptr<DeviceMemory> CudaDevice::allocate_symmetric(std::size_t bytes, std::span<Device* const> peers) {
  std::set<int> users = {ordinal_};
  for (const Device* peer : peers) {
    if (!users.insert(peer->ordinal()).second) continue;
    int possible = 0;
    driver_->check(driver_->cuDeviceCanAccessPeer(&possible, peer->ordinal(), ordinal_), "cuDeviceCanAccessPeer");
    if (possible == 0) {
      throw Error(
          ErrorCode::kUnsupported,
          fmt::format("GPU {} cannot store into the memory of GPU {}: they have no peer access (see `nvidia-smi "
                      "topo -p2p w` and `allnorm doctor`)",
                      peer->ordinal(), ordinal_));
    }
  }
  return std::make_unique<VirtualMemory>(*driver_, ordinal_, users, bytes, CU_MEM_HANDLE_TYPE_NONE);
}

std::unique_ptr<DeviceMemory> CudaDevice::allocate_shareable(std::size_t bytes, MemoryHandle::Kind kind) {
  return std::make_unique<VirtualMemory>(*driver_, ordinal_, std::set<int>{ordinal_}, bytes, handle_type_of(kind));
}

MemoryHandle CudaDevice::export_memory(const DeviceMemory& memory, MemoryHandle::Kind kind) {
  return dynamic_cast<const VirtualMemory&>(memory).export_handle(kind);
}

std::unique_ptr<DeviceMemory> CudaDevice::import_memory(const MemoryHandle& handle, std::size_t bytes) {
  return std::make_unique<VirtualMemory>(*driver_, ordinal_, bytes, handle);
}

void CudaDevice::release_pages(DeviceMemory& memory) { dynamic_cast<VirtualMemory&>(memory).release_pages(); }
void CudaDevice::renew_pages(DeviceMemory& memory) { dynamic_cast<VirtualMemory&>(memory).renew_pages(); }
void CudaDevice::renew_pages(DeviceMemory& memory, const MemoryHandle& handle) {
  dynamic_cast<VirtualMemory&>(memory).renew_pages(handle);
}

std::unique_ptr<Multicast> CudaDevice::create_multicast(std::span<Device* const> here, std::size_t bytes, int ranks,
                                                        std::optional<MemoryHandle::Kind> kind) {
  std::vector<int> gpus;
  for (const Device* device : here) {
    const int gpu = device->ordinal();
    if (std::find(gpus.begin(), gpus.end(), gpu) != gpus.end()) {
      throw Error(ErrorCode::kUnsupported, fmt::format("several ranks are on GPU {}", gpu));
    }
    check_has_multicast(*driver_, gpu);
    gpus.push_back(gpu);
  }
  return std::make_unique<MulticastMemory>(*driver_, std::move(gpus), bytes, ranks, kind);
}

std::unique_ptr<Multicast> CudaDevice::import_multicast(const MemoryHandle& handle, std::size_t bytes, int ranks) {
  check_has_multicast(*driver_, ordinal_);
  return std::make_unique<MulticastMemory>(*driver_, ordinal_, bytes, ranks, handle);
}

}  // namespace allnorm::cuda
