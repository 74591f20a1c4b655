#include "device/cuda/multicast_memory.h"

#include <fmt/format.h>

#include <utility>

#include "allnorm/error.h"
#include "device/cuda/virtual_memory.h"

namespace allnorm::cuda {
namespace {

CUmulticastObjectProp properties_of(std::size_t bytes, int ranks, std::optional<MemoryHandle::Kind> kind) {
  CUmulticastObjectProp properties{};
  properties.numDevices = static_cast<unsigned>(ranks);
  properties.size = bytes;
  properties.handleTypes = kind ? handle_type_of(*kind) : CU_MEM_HANDLE_TYPE_NONE;
  return properties;
}

std::size_t granularity_of(const Driver& driver, const CUmulticastObjectProp& properties) {
  std::size_t granularity = 0;
  // The recommended one is hundreds of MiB: more than most workspaces.
  driver.check(driver.cuMulticastGetGranularity(&granularity, &properties, CU_MULTICAST_GRANULARITY_MINIMUM),
               "cuMulticastGetGranularity");
  return granularity;
}

}  // namespace

MulticastMemory::MulticastMemory(const Driver& driver, std::vector<int> here, std::size_t bytes, int ranks,
                                 std::optional<MemoryHandle::Kind> kind)
    : driver_(driver),
      here_(std::move(here)),
      kind_(kind),
      granularity_(granularity_of(driver, properties_of(bytes, ranks, kind))),
      bytes_(whole_pages(bytes, granularity_)) {
  const CUmulticastObjectProp properties = properties_of(bytes_, ranks, kind);
  driver_.check(driver_.cuMulticastCreate(&handle_, &properties), "cuMulticastCreate");
}

MulticastMemory::MulticastMemory(const Driver& driver, int here, std::size_t bytes, int ranks,
                                 const MemoryHandle& handle)
    : driver_(driver),
      here_({here}),
      kind_(handle.kind),
      granularity_(granularity_of(driver, properties_of(bytes, ranks, handle.kind))),
      bytes_(whole_pages(bytes, granularity_)) {
  handle_ = import_handle(driver, handle);
}

MulticastMemory::~MulticastMemory() { release(); }

MemoryHandle MulticastMemory::export_handle() const {
  if (!kind_) throw Error(ErrorCode::kUnsupported, "multicast within a process has no handle for others");
  return allnorm::cuda::export_handle(driver_, handle_, *kind_);
}

void MulticastMemory::add() {
  for (const int gpu : here_) driver_.check(driver_.cuMulticastAddDevice(handle_, gpu), "cuMulticastAddDevice");
}

void MulticastMemory::bind(std::span<DeviceMemory* const> own) {
  for (DeviceMemory* of_rank : own) {
    const auto& memory = dynamic_cast<const VirtualMemory&>(*of_rank);
    if (memory.bytes() < bytes_) {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("multicast needs memory in pages of {} bytes, and a rank's has {}: make the workspace a "
                              "little larger",
                              granularity_, memory.bytes()));
    }
    driver_.check(driver_.cuMulticastBindMem(handle_, 0, memory.handle(), 0, bytes_, 0), "cuMulticastBindMem");
    bound_++;
  }
}

void MulticastMemory::map() {
  driver_.check(driver_.cuMemAddressReserve(&address_, bytes_, granularity_, 0, 0), "cuMemAddressReserve");
  driver_.check(driver_.cuMemMap(address_, bytes_, 0, handle_, 0), "cuMemMap");
  mapped_ = true;
  std::vector<CUmemAccessDesc> access;
  for (const int gpu : here_) {
    access.push_back({{CU_MEM_LOCATION_TYPE_DEVICE, gpu}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE});
  }
  driver_.check(driver_.cuMemSetAccess(address_, bytes_, access.data(), access.size()), "cuMemSetAccess");
}

void MulticastMemory::release() noexcept {
  if (mapped_) driver_.warn(driver_.cuMemUnmap(address_, bytes_), "cuMemUnmap");
  if (address_ != 0) driver_.warn(driver_.cuMemAddressFree(address_, bytes_), "cuMemAddressFree");
  // Nothing in the driver's documentation says that a binding ends with this process's handle, nor that the memory
  // lives on while it lasts: so it ends here, before the memory goes.
  for (std::size_t i = 0; i < bound_; i++) {
    driver_.warn(driver_.cuMulticastUnbind(handle_, here_[i], 0, bytes_), "cuMulticastUnbind");
  }
  if (handle_ != 0) driver_.warn(driver_.cuMemRelease(handle_), "cuMemRelease");
}

}  // namespace allnorm::cuda
