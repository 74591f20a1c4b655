// Device memory: plain, and symmetric (CUDA virtual memory management, mapped for every GPU of a world).
#include <fmt/format.h>

#include <set>

#include "allnorm/error.h"
#include "device/cuda/cuda_device.h"

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

/// One mapping serves all GPUs of the process: addresses are unified.
class SymmetricMemory final : public DeviceMemory {
 public:
  SymmetricMemory(const Driver& driver, int owner, const std::set<int>& users, std::size_t bytes) : driver_(driver) {
    CUmemAllocationProp properties{};
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, owner};
    std::size_t granularity = 0;
    driver.check(driver.cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED),
                 "cuMemGetAllocationGranularity");
    bytes_ = (bytes + granularity - 1) / granularity * granularity;
    try {
      driver.check(driver.cuMemCreate(&handle_, bytes_, &properties, 0), "cuMemCreate");
      driver.check(driver.cuMemAddressReserve(&address_, bytes_, granularity, 0, 0), "cuMemAddressReserve");
      driver.check(driver.cuMemMap(address_, bytes_, 0, handle_, 0), "cuMemMap");
      mapped_ = true;
      std::vector<CUmemAccessDesc> access;
      for (const int user : users) {
        access.push_back({{CU_MEM_LOCATION_TYPE_DEVICE, user}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE});
      }
      driver.check(driver.cuMemSetAccess(address_, bytes_, access.data(), access.size()), "cuMemSetAccess");
    } catch (...) {
      release();
      throw;
    }
  }
  ~SymmetricMemory() override { release(); }
  SymmetricMemory(const SymmetricMemory&) = delete;
  SymmetricMemory& operator=(const SymmetricMemory&) = delete;
  void* data() const noexcept override { return reinterpret_cast<void*>(address_); }

 private:
  void release() noexcept {
    if (mapped_) driver_.cuMemUnmap(address_, bytes_);
    if (address_ != 0) driver_.cuMemAddressFree(address_, bytes_);
    if (handle_ != 0) driver_.cuMemRelease(handle_);
  }

  const Driver& driver_;
  std::size_t bytes_ = 0;
  CUmemGenericAllocationHandle handle_ = 0;
  CUdeviceptr address_ = 0;
  bool mapped_ = false;
};

}  // namespace

std::unique_ptr<DeviceMemory> CudaDevice::allocate(std::size_t bytes) {
  return std::make_unique<PlainMemory>(*this, bytes);
}

std::unique_ptr<DeviceMemory> CudaDevice::map_multicast(std::span<DeviceMemory* const>, std::size_t) { return nullptr; }

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
  return std::make_unique<SymmetricMemory>(*driver_, ordinal_, users, bytes);
}

}  // namespace allnorm::cuda
