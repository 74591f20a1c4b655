// A library that takes the CUDA driver's place: GPUs that hold memory and run nothing. Memory that is shared is a file
// in memory, so that what one process writes another reads, as on a host with GPUs.
//
//   ALLNORM_STUB_GPUS     how many GPUs there are (16)
//   ALLNORM_STUB_FABRIC   1: memory can be shared by fabric handle, too
//   ALLNORM_STUB_FAIL     "cuMemMap:2": the second call of that function fails; "cuMemMap:2:kill": it ends the process;
//                         "cuMemMap:*": each call of it fails
//   ALLNORM_STUB_MULTICAST   see stub_multicast.cc
//   allnorm_stub_live()   what was made and not given back: allocations, addresses, mappings, contexts, streams,
//                         modules and memory bound to multicast objects
//
// It is stricter than the real one, where that may hide a mistake: what is mapped or bound is not released, and an
// address that is in use is not freed.
#include <cuda.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "stub_state.h"

namespace {

constexpr std::size_t kPage = std::size_t{2} << 20;

struct Mapping {
  std::size_t bytes;
  CUmemGenericAllocationHandle handle;
};

std::mutex mutex;
std::map<CUmemGenericAllocationHandle, stub::Memory> allocations;
std::map<CUdeviceptr, std::size_t> reserved;
std::map<CUdeviceptr, Mapping> mapped;
std::map<CUdeviceptr, std::size_t> plain;
std::map<std::string, int> calls;
CUmemGenericAllocationHandle next_handle = 1;
int contexts = 0;
int streams = 0;
int others = 0;
thread_local CUcontext current = nullptr;

CUcontext context_of(CUdevice device) { return reinterpret_cast<CUcontext>(static_cast<std::uintptr_t>(device) + 1); }

}  // namespace

namespace stub {

int setting(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

bool fails(const char* function) {
  const std::lock_guard lock(mutex);
  const int count = ++calls[function];
  const char* asked = std::getenv("ALLNORM_STUB_FAIL");
  if (asked == nullptr) return false;
  const std::string here = std::string(function) + ":" + std::to_string(count);
  if (asked == here + ":kill") ::kill(::getpid(), SIGKILL);
  return asked == here || asked == std::string(function) + ":*";
}

CUmemGenericAllocationHandle keep(int file, std::size_t bytes, CUdevice device) {
  const std::lock_guard lock(mutex);
  allocations[next_handle] = {file, bytes, device, false};
  return next_handle++;
}

Memory memory_of(CUmemGenericAllocationHandle handle) {
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(handle);
  return found == allocations.end() ? Memory{} : found->second;
}

void set_bound(int file, bool bound) {
  const std::lock_guard lock(mutex);
  for (auto& [handle, memory] : allocations) {
    if (memory.file == file) memory.bound = bound;
  }
}

int open_file(const FileName& name) {
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/%d/fd/%d", name.process, name.file);
  return ::open(path, O_RDWR | O_CLOEXEC);
}

void count_live(int change) {
  const std::lock_guard lock(mutex);
  others += change;
}

}  // namespace stub

using stub::keep;
using stub::setting;

extern "C" {

#pragma GCC visibility push(default)

int allnorm_stub_live() {
  const std::lock_guard lock(mutex);
  return static_cast<int>(allocations.size() + reserved.size() + mapped.size() + plain.size()) + contexts + streams +
         others;
}

CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int* version) { return *version = 13000, CUDA_SUCCESS; }
CUresult cuGetErrorName(CUresult, const char** name) { return *name = "CUDA_ERROR_UNKNOWN", CUDA_SUCCESS; }
CUresult cuGetErrorString(CUresult, const char** text) { return *text = "asked for by the test", CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int* count) { return *count = setting("ALLNORM_STUB_GPUS", 16), CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice* device, int ordinal) { return *device = ordinal, CUDA_SUCCESS; }
CUresult cuDeviceGetName(char* name, int size, CUdevice) {
  FAIL_IF_ASKED(cuDeviceGetName);
  std::snprintf(name, static_cast<std::size_t>(size), "stub GPU");
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  FAIL_IF_ASKED(cuDeviceGetUuid);
  std::memset(uuid, 0, sizeof(*uuid));
  std::memcpy(uuid, &device, sizeof(device));
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  if (attribute == CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED) FAIL_IF_ASKED(cuDeviceGetAttribute);
  *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9
           : attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT   ? 132
           : attribute == CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED    ? setting("ALLNORM_STUB_MULTICAST", 0)
                                                                     : 0;
  return CUDA_SUCCESS;
}
CUresult cuDeviceCanAccessPeer(int* possible, CUdevice, CUdevice) { return *possible = 1, CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  FAIL_IF_ASKED(cuDevicePrimaryCtxRetain);
  const std::lock_guard lock(mutex);
  contexts++;
  return *context = context_of(device), CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) {
  const std::lock_guard lock(mutex);
  contexts--;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetCurrent(CUcontext* context) { return *context = current, CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext context) { return current = context, CUDA_SUCCESS; }
CUresult cuCtxSynchronize() { return CUDA_SUCCESS; }
CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned, int) {
  FAIL_IF_ASKED(cuStreamCreateWithPriority);
  const std::lock_guard lock(mutex);
  streams++;
  return *stream = reinterpret_cast<CUstream>(std::uintptr_t{16}), CUDA_SUCCESS;
}
CUresult cuStreamCreate(CUstream* stream, unsigned) {
  FAIL_IF_ASKED(cuStreamCreate);
  const std::lock_guard lock(mutex);
  streams++;
  return *stream = reinterpret_cast<CUstream>(std::uintptr_t{32}), CUDA_SUCCESS;
}
CUresult cuStreamDestroy_v2(CUstream) {
  const std::lock_guard lock(mutex);
  streams--;
  return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream) {
  FAIL_IF_ASKED(cuStreamSynchronize);
  return CUDA_SUCCESS;
}
CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode*) { return CUDA_SUCCESS; }

CUresult cuMemGetAllocationGranularity(std::size_t* granularity, const CUmemAllocationProp*,
                                       CUmemAllocationGranularity_flags) {
  FAIL_IF_ASKED(cuMemGetAllocationGranularity);
  return *granularity = kPage, CUDA_SUCCESS;
}
CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, std::size_t bytes, const CUmemAllocationProp* properties,
                     unsigned long long) {
  FAIL_IF_ASKED(cuMemCreate);
  if (properties->requestedHandleTypes == CU_MEM_HANDLE_TYPE_FABRIC && setting("ALLNORM_STUB_FABRIC", 0) == 0) {
    return CUDA_ERROR_NOT_PERMITTED;
  }
  const int file = ::memfd_create("stub", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(bytes)) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  return *handle = keep(file, bytes, properties->location.id), CUDA_SUCCESS;
}
CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  FAIL_IF_ASKED(cuMemRelease);
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(handle);
  if (found == allocations.end() || found->second.bound) return CUDA_ERROR_INVALID_VALUE;
  for (const auto& [address, mapping] : mapped) {
    if (mapping.handle == handle) return CUDA_ERROR_INVALID_VALUE;
  }
  ::close(found->second.file);
  allocations.erase(found);
  return CUDA_SUCCESS;
}
CUresult cuMemExportToShareableHandle(void* to, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type,
                                      unsigned long long) {
  FAIL_IF_ASKED(cuMemExportToShareableHandle);
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(handle);
  if (found == allocations.end()) return CUDA_ERROR_INVALID_VALUE;
  if (type == CU_MEM_HANDLE_TYPE_FABRIC) {
    const stub::FileName name{::getpid(), found->second.file};
    std::memset(to, 0, sizeof(CUmemFabricHandle));
    std::memcpy(to, &name, sizeof(name));
    return CUDA_SUCCESS;
  }
  const int copy = ::dup(found->second.file);
  std::memcpy(to, &copy, sizeof(copy));
  return copy < 0 ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}
CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle* handle, void* from,
                                        CUmemAllocationHandleType type) {
  FAIL_IF_ASKED(cuMemImportFromShareableHandle);
  int file = -1;
  if (type == CU_MEM_HANDLE_TYPE_FABRIC) {
    stub::FileName name{};
    std::memcpy(&name, from, sizeof(name));
    file = stub::open_file(name);
  } else {
    file = ::dup(static_cast<int>(reinterpret_cast<std::intptr_t>(from)));
  }
  if (file < 0) return CUDA_ERROR_INVALID_HANDLE;
  return *handle = keep(file, static_cast<std::size_t>(::lseek(file, 0, SEEK_END))), CUDA_SUCCESS;
}
CUresult cuMemAddressReserve(CUdeviceptr* address, std::size_t bytes, std::size_t, CUdeviceptr, unsigned long long) {
  FAIL_IF_ASKED(cuMemAddressReserve);
  void* place = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard lock(mutex);
  *address = reinterpret_cast<CUdeviceptr>(place);
  reserved[*address] = bytes;
  return CUDA_SUCCESS;
}
CUresult cuMemAddressFree(CUdeviceptr address, std::size_t bytes) {
  FAIL_IF_ASKED(cuMemAddressFree);
  const std::lock_guard lock(mutex);
  const auto found = reserved.find(address);
  if (found == reserved.end() || found->second != bytes || mapped.count(address) != 0) return CUDA_ERROR_INVALID_VALUE;
  reserved.erase(found);
  ::munmap(reinterpret_cast<void*>(address), bytes);
  return CUDA_SUCCESS;
}
CUresult cuMemMap(CUdeviceptr address, std::size_t bytes, std::size_t, CUmemGenericAllocationHandle handle,
                  unsigned long long) {
  FAIL_IF_ASKED(cuMemMap);
  if (const CUresult result = stub::check_map(handle); result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(handle);
  if (found == allocations.end() || found->second.bytes < bytes || reserved.count(address) == 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  void* place = ::mmap(reinterpret_cast<void*>(address), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                       found->second.file, 0);
  if (place == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  mapped[address] = {bytes, handle};
  return CUDA_SUCCESS;
}
CUresult cuMemUnmap(CUdeviceptr address, std::size_t bytes) {
  FAIL_IF_ASKED(cuMemUnmap);
  const std::lock_guard lock(mutex);
  const auto found = mapped.find(address);
  if (found == mapped.end() || found->second.bytes != bytes) return CUDA_ERROR_INVALID_VALUE;
  mapped.erase(found);
  ::mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
  return CUDA_SUCCESS;
}
CUresult cuMemSetAccess(CUdeviceptr address, std::size_t bytes, const CUmemAccessDesc*, std::size_t) {
  FAIL_IF_ASKED(cuMemSetAccess);
  Mapping mapping{};
  {
    const std::lock_guard lock(mutex);
    if (const auto found = mapped.find(address); found != mapped.end()) mapping = found->second;
  }
  return mapping.bytes == bytes ? stub::check_access(mapping.handle) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemAlloc_v2(CUdeviceptr* address, std::size_t bytes) {
  FAIL_IF_ASKED(cuMemAlloc);
  const std::lock_guard lock(mutex);
  *address = reinterpret_cast<CUdeviceptr>(std::calloc(1, bytes));
  plain[*address] = bytes;
  return CUDA_SUCCESS;
}
CUresult cuMemFree_v2(CUdeviceptr address) {
  const std::lock_guard lock(mutex);
  if (plain.erase(address) == 0) return CUDA_ERROR_INVALID_VALUE;
  std::free(reinterpret_cast<void*>(address));
  return CUDA_SUCCESS;
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned word, std::size_t words, CUstream) {
  FAIL_IF_ASKED(cuMemsetD32Async);
  for (std::size_t i = 0; i < words; i++) std::memcpy(reinterpret_cast<char*>(to) + 4 * i, &word, 4);
  return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, std::size_t bytes, CUstream) {
  FAIL_IF_ASKED(cuMemcpyHtoDAsync);
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, std::size_t bytes, CUstream) {
  FAIL_IF_ASKED(cuMemcpyDtoHAsync);
  std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
  return CUDA_SUCCESS;
}

#pragma GCC visibility pop
}
