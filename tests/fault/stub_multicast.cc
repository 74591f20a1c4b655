// The stub driver's multicast objects, and the one kernel that it runs: the test of multicast. An object is a file in
// memory that says which files are bound to it; a store to where it is mapped goes to each of them. Where the real
// driver waits for ranks that have not come as far, this one fails.
//
//   ALLNORM_STUB_MULTICAST   1: the GPUs have it; 2: they say so, but a store reaches only the GPU that made it
#include <cuda.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "kernels_src/params.cuh"
#include "stub_state.h"

namespace {

constexpr std::size_t kPage = std::size_t{2} << 20;

constexpr std::uint64_t kObject = 0x6d756c7469636173;

struct Binding {
  stub::FileName memory;
  CUdevice device;
  std::size_t bytes;
};

struct Object {
  std::uint64_t kind;  ///< kObject: other files are no objects.
  unsigned devices;
  unsigned added;
  unsigned count;
  CUdevice added_devices[allnorm_kernel::kMaxRanks];
  Binding bound[allnorm_kernel::kMaxRanks];

  bool has(CUdevice device) const {
    return std::find(added_devices, added_devices + added, device) != added_devices + added;
  }
};

/// With the object's contents, which nobody else changes meanwhile. False if the handle is none of an object.
bool with_object(CUmemGenericAllocationHandle handle, const std::function<CUresult(Object&)>& work, CUresult& result) {
  const int file = stub::memory_of(handle).file;
  if (file < 0) return false;
  // Of a description of its own: an inherited one would share the lock.
  const int mine = stub::open_file({::getpid(), file});
  if (mine < 0 || ::flock(mine, LOCK_EX) != 0) return false;
  void* place = ::mmap(nullptr, sizeof(Object), PROT_READ | PROT_WRITE, MAP_SHARED, mine, 0);
  bool is_object = false;
  if (place != MAP_FAILED) {
    auto& object = *static_cast<Object*>(place);
    is_object = object.kind == kObject;
    if (is_object) result = work(object);
    ::munmap(place, sizeof(Object));
  }
  ::close(mine);
  return is_object;
}

CUresult change(CUmemGenericAllocationHandle handle, const std::function<CUresult(Object&)>& work) {
  CUresult result = CUDA_ERROR_UNKNOWN;
  return with_object(handle, work, result) ? result : CUDA_ERROR_INVALID_HANDLE;
}

/// What allnorm_test_multicast does.
CUresult run_test(const allnorm_kernel::ParamsFor<1>& params) {
  const auto* object = reinterpret_cast<const Object*>(params.multicast);
  const std::uint32_t word = allnorm_kernel::multicast_test_word(params.rank);
  const std::uint32_t vector[4] = {word, word, word, word};
  const auto at = static_cast<off_t>(params.one_shot.offset + params.rank * sizeof(vector));
  for (unsigned i = 0; i < object->count; i++) {
    if (stub::setting("ALLNORM_STUB_MULTICAST", 0) == 2 && object->bound[i].memory.process != ::getpid()) continue;
    const int file = stub::open_file(object->bound[i].memory);
    if (file < 0 || ::pwrite(file, vector, sizeof(vector), at) != static_cast<ssize_t>(sizeof(vector))) {
      return CUDA_ERROR_LAUNCH_FAILED;
    }
    ::close(file);
  }
  return CUDA_SUCCESS;
}

}  // namespace

namespace stub {

CUresult check_map(CUmemGenericAllocationHandle handle) {
  CUresult result = CUDA_SUCCESS;
  with_object(
      handle, [](Object& object) { return object.added == object.devices ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY; },
      result);
  return result;
}

CUresult check_access(CUmemGenericAllocationHandle handle) {
  CUresult result = CUDA_SUCCESS;
  with_object(
      handle, [](Object& object) { return object.count == object.devices ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY; },
      result);
  return result;
}

}  // namespace stub

extern "C" {

#pragma GCC visibility push(default)

CUresult cuMulticastGetGranularity(std::size_t* granularity, const CUmulticastObjectProp*,
                                   CUmulticastGranularity_flags) {
  FAIL_IF_ASKED(cuMulticastGetGranularity);
  return *granularity = kPage, CUDA_SUCCESS;
}
CUresult cuMulticastCreate(CUmemGenericAllocationHandle* handle, const CUmulticastObjectProp* properties) {
  FAIL_IF_ASKED(cuMulticastCreate);
  if (properties->size % kPage != 0 || properties->numDevices < 2) return CUDA_ERROR_INVALID_VALUE;
  const int file = ::memfd_create("stub multicast", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(properties->size)) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  Object object{};
  object.kind = kObject;
  object.devices = properties->numDevices;
  if (::pwrite(file, &object, sizeof(object), 0) != static_cast<ssize_t>(sizeof(object))) return CUDA_ERROR_UNKNOWN;
  return *handle = stub::keep(file, properties->size), CUDA_SUCCESS;
}
CUresult cuMulticastAddDevice(CUmemGenericAllocationHandle handle, CUdevice device) {
  FAIL_IF_ASKED(cuMulticastAddDevice);
  return change(handle, [&](Object& object) {
    if (object.added == object.devices || object.has(device)) return CUDA_ERROR_INVALID_VALUE;
    object.added_devices[object.added++] = device;
    return CUDA_SUCCESS;
  });
}
CUresult cuMulticastBindMem(CUmemGenericAllocationHandle handle, std::size_t offset,
                            CUmemGenericAllocationHandle memory_handle, std::size_t memory_offset, std::size_t bytes,
                            unsigned long long) {
  FAIL_IF_ASKED(cuMulticastBindMem);
  const stub::Memory memory = stub::memory_of(memory_handle);
  const std::size_t object_bytes = stub::memory_of(handle).bytes;
  if (memory.file < 0 || memory.bound || offset != 0 || memory_offset != 0 || bytes % kPage != 0 ||
      bytes > memory.bytes || bytes > object_bytes) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return change(handle, [&](Object& object) {
    if (object.added != object.devices) return CUDA_ERROR_NOT_READY;
    if (!object.has(memory.device)) return CUDA_ERROR_INVALID_DEVICE;
    for (unsigned i = 0; i < object.count; i++) {
      if (object.bound[i].device == memory.device) return CUDA_ERROR_INVALID_VALUE;
    }
    object.bound[object.count++] = {{::getpid(), memory.file}, memory.device, bytes};
    stub::set_bound(memory.file, true);
    stub::count_live(1);
    return CUDA_SUCCESS;
  });
}
CUresult cuMulticastUnbind(CUmemGenericAllocationHandle handle, CUdevice device, std::size_t offset,
                           std::size_t bytes) {
  FAIL_IF_ASKED(cuMulticastUnbind);
  return change(handle, [&](Object& object) {
    for (unsigned i = 0; i < object.count; i++) {
      const Binding& bound = object.bound[i];
      if (bound.device != device || bound.memory.process != ::getpid()) continue;
      if (offset != 0 || bound.bytes != bytes) return CUDA_ERROR_INVALID_VALUE;
      stub::set_bound(bound.memory.file, false);
      stub::count_live(-1);
      object.bound[i] = object.bound[--object.count];
      return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuModuleLoadData(CUmodule* module, const void*) {
  FAIL_IF_ASKED(cuModuleLoadData);
  stub::count_live(1);
  return *module = reinterpret_cast<CUmodule>(std::uintptr_t{16}), CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule) { return stub::count_live(-1), CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction* function, CUmodule, const char* name) {
  const bool known = std::strcmp(name, "allnorm_test_multicast") == 0;
  return *function = reinterpret_cast<CUfunction>(std::uintptr_t{known ? 1U : 2U}), CUDA_SUCCESS;
}
CUresult cuFuncLoad(CUfunction) { return CUDA_SUCCESS; }
CUresult cuFuncGetAttribute(int* value, CUfunction_attribute, CUfunction) { return *value = 0, CUDA_SUCCESS; }
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* count, CUfunction, int, std::size_t) {
  return *count = 1, CUDA_SUCCESS;
}
CUresult cuLaunchKernelEx(const CUlaunchConfig*, CUfunction function, void** arguments, void**) {
  FAIL_IF_ASKED(cuLaunchKernelEx);
  if (function != reinterpret_cast<CUfunction>(std::uintptr_t{1})) return CUDA_ERROR_NOT_SUPPORTED;
  return run_test(*static_cast<const allnorm_kernel::ParamsFor<1>*>(arguments[0]));
}

#pragma GCC visibility pop
}
