#include "device/cuda/virtual_memory.h"

#include <cstring>
#include <vector>

#include "allnorm/error.h"

namespace allnorm::cuda {
namespace {

CUmemAllocationProp properties_of(int owner, CUmemAllocationHandleType handle_type) {
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, owner};
  properties.requestedHandleTypes = handle_type;
  return properties;
}

std::size_t granularity_of(const Driver& driver, const CUmemAllocationProp& properties) {
  std::size_t granularity = 0;
  driver.check(driver.cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED),
               "cuMemGetAllocationGranularity");
  return granularity;
}

std::size_t whole_pages(std::size_t bytes, std::size_t page) { return (bytes + page - 1) / page * page; }

}  // namespace

VirtualMemory::VirtualMemory(const Driver& driver, int owner, const std::set<int>& users, std::size_t bytes,
                             CUmemAllocationHandleType handle_type)
    : driver_(driver) {
  const CUmemAllocationProp properties = properties_of(owner, handle_type);
  const std::size_t granularity = granularity_of(driver, properties);
  bytes_ = whole_pages(bytes, granularity);
  try {
    driver.check(driver.cuMemCreate(&handle_, bytes_, &properties, 0), "cuMemCreate");
    map(granularity, users);
  } catch (...) {
    release();
    throw;
  }
}

VirtualMemory::VirtualMemory(const Driver& driver, int user, std::size_t bytes, const MemoryHandle& handle)
    : driver_(driver) {
  CUmemFabricHandle fabric{};
  void* bits = &fabric;
  CUmemAllocationHandleType type = CU_MEM_HANDLE_TYPE_FABRIC;
  if (handle.kind == MemoryHandle::Kind::kFabric) {
    if (handle.fabric.size() != sizeof(fabric)) {
      throw Error(ErrorCode::kPeer, "a fabric handle of another size was given");
    }
    std::memcpy(&fabric, handle.fabric.data(), sizeof(fabric));
  } else {
    type = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    bits = reinterpret_cast<void*>(static_cast<std::intptr_t>(handle.descriptor.get()));
  }
  const std::size_t granularity = granularity_of(driver, properties_of(user, type));
  bytes_ = whole_pages(bytes, granularity);
  try {
    driver.check(driver.cuMemImportFromShareableHandle(&handle_, bits, type), "cuMemImportFromShareableHandle");
    map(granularity, {user});
  } catch (...) {
    release();
    throw;
  }
}

VirtualMemory::~VirtualMemory() { release(); }

MemoryHandle VirtualMemory::export_handle(MemoryHandle::Kind kind) const {
  MemoryHandle handle;
  handle.kind = kind;
  if (kind == MemoryHandle::Kind::kFabric) {
    handle.fabric.resize(sizeof(CUmemFabricHandle));
    driver_.check(driver_.cuMemExportToShareableHandle(handle.fabric.data(), handle_, CU_MEM_HANDLE_TYPE_FABRIC, 0),
                  "cuMemExportToShareableHandle");
  } else {
    int descriptor = -1;
    driver_.check(
        driver_.cuMemExportToShareableHandle(&descriptor, handle_, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
        "cuMemExportToShareableHandle");
    handle.descriptor = Descriptor(descriptor);
  }
  return handle;
}

void VirtualMemory::map(std::size_t alignment, const std::set<int>& users) {
  driver_.check(driver_.cuMemAddressReserve(&address_, bytes_, alignment, 0, 0), "cuMemAddressReserve");
  driver_.check(driver_.cuMemMap(address_, bytes_, 0, handle_, 0), "cuMemMap");
  mapped_ = true;
  std::vector<CUmemAccessDesc> access;
  for (const int user : users) {
    access.push_back({{CU_MEM_LOCATION_TYPE_DEVICE, user}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE});
  }
  driver_.check(driver_.cuMemSetAccess(address_, bytes_, access.data(), access.size()), "cuMemSetAccess");
}

void VirtualMemory::release() noexcept {
  if (mapped_) driver_.cuMemUnmap(address_, bytes_);
  if (address_ != 0) driver_.cuMemAddressFree(address_, bytes_);
  if (handle_ != 0) driver_.cuMemRelease(handle_);
}

}  // namespace allnorm::cuda
