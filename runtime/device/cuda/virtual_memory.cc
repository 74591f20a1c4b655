#include "device/cuda/virtual_memory.h"

#include <fcntl.h>
#include <fmt/format.h>

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

}  // namespace

std::size_t whole_pages(std::size_t bytes, std::size_t page) noexcept { return (bytes + page - 1) / page * page; }

CUmemAllocationHandleType handle_type_of(MemoryHandle::Kind kind) noexcept {
  return kind == MemoryHandle::Kind::kFabric ? CU_MEM_HANDLE_TYPE_FABRIC : CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
}

MemoryHandle export_handle(const Driver& driver, CUmemGenericAllocationHandle handle, MemoryHandle::Kind kind) {
  MemoryHandle exported;
  exported.kind = kind;
  int descriptor = -1;
  void* to = &descriptor;
  if (kind == MemoryHandle::Kind::kFabric) {
    exported.fabric.resize(sizeof(CUmemFabricHandle));
    to = exported.fabric.data();
  }
  driver.check(driver.cuMemExportToShareableHandle(to, handle, handle_type_of(kind), 0),
               "cuMemExportToShareableHandle");
  if (descriptor >= 0) {
    exported.descriptor = Descriptor(descriptor);
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  }
  return exported;
}

CUmemGenericAllocationHandle import_handle(const Driver& driver, const MemoryHandle& handle) {
  CUmemFabricHandle fabric{};
  void* bits = &fabric;
  if (handle.kind == MemoryHandle::Kind::kFabric) {
    if (handle.fabric.size() != sizeof(fabric)) {
      throw Error(ErrorCode::kPeer, "a fabric handle of another size was given");
    }
    std::memcpy(&fabric, handle.fabric.data(), sizeof(fabric));
  } else {
    bits = reinterpret_cast<void*>(static_cast<std::intptr_t>(handle.descriptor.get()));
  }
  CUmemGenericAllocationHandle imported = 0;
  driver.check(driver.cuMemImportFromShareableHandle(&imported, bits, handle_type_of(handle.kind)),
               "cuMemImportFromShareableHandle");
  return imported;
}

VirtualMemory::VirtualMemory(const Driver& driver, int owner, const std::set<int>& users, std::size_t bytes,
                             CUmemAllocationHandleType handle_type)
    : driver_(driver),
      properties_(properties_of(owner, handle_type)),
      users_(users),
      granularity_(granularity_of(driver, properties_)),
      bytes_(whole_pages(bytes, granularity_)) {
  try {
    create();
    map();
  } catch (...) {
    release();
    throw;
  }
}

VirtualMemory::VirtualMemory(const Driver& driver, int user, std::size_t bytes, const MemoryHandle& handle)
    : driver_(driver),
      properties_(properties_of(user, handle_type_of(handle.kind))),
      users_({user}),
      granularity_(granularity_of(driver, properties_)),
      bytes_(whole_pages(bytes, granularity_)) {
  try {
    handle_ = import_handle(driver_, handle);
    map_import();
  } catch (...) {
    release();
    throw;
  }
}

VirtualMemory::~VirtualMemory() { release(); }

MemoryHandle VirtualMemory::export_handle(MemoryHandle::Kind kind) const {
  return allnorm::cuda::export_handle(driver_, handle_, kind);
}

void VirtualMemory::release_pages() {
  if (mapped_) driver_.check(driver_.cuMemUnmap(address_, bytes_), "cuMemUnmap");
  mapped_ = false;
  if (handle_ != 0) driver_.check(driver_.cuMemRelease(handle_), "cuMemRelease");
  handle_ = 0;
}

void VirtualMemory::renew_pages() {
  release_pages();
  create();
  map();
}

void VirtualMemory::renew_pages(const MemoryHandle& handle) {
  release_pages();
  handle_ = import_handle(driver_, handle);
  map_import();
}

void VirtualMemory::create() { driver_.check(driver_.cuMemCreate(&handle_, bytes_, &properties_, 0), "cuMemCreate"); }

void VirtualMemory::map() {
  if (address_ == 0) {
    driver_.check(driver_.cuMemAddressReserve(&address_, bytes_, granularity_, 0, 0), "cuMemAddressReserve");
  }
  driver_.check(driver_.cuMemMap(address_, bytes_, 0, handle_, 0), "cuMemMap");
  mapped_ = true;
  std::vector<CUmemAccessDesc> access;
  for (const int user : users_) {
    access.push_back({{CU_MEM_LOCATION_TYPE_DEVICE, user}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE});
  }
  driver_.check(driver_.cuMemSetAccess(address_, bytes_, access.data(), access.size()), "cuMemSetAccess");
}

void VirtualMemory::map_import() {
  try {
    map();
  } catch (const Error& error) {
    throw Error(error.code(),
                fmt::format("{} (can this GPU store into the other's memory? See `nvidia-smi topo -p2p w` "
                            "and `allnorm doctor`)",
                            error.what()));
  }
}

void VirtualMemory::release() noexcept {
  if (mapped_) driver_.warn(driver_.cuMemUnmap(address_, bytes_), "cuMemUnmap");
  if (address_ != 0) driver_.warn(driver_.cuMemAddressFree(address_, bytes_), "cuMemAddressFree");
  if (handle_ != 0) driver_.warn(driver_.cuMemRelease(handle_), "cuMemRelease");
}

}  // namespace allnorm::cuda
