// The stub driver's multicast objects, and the one kernel that it runs: the test of multicast. An object is a file in
// memory that says which files are bound to it; a store to where it is mapped goes to each of them.
//
//   ALLNORM_STUB_MULTICAST   1: the GPUs have it; 2: they say so, but a store reaches only the GPU that made it
#include <cuda.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "kernels_src/params.cuh"
#include "stub_state.h"

namespace {

constexpr std::size_t kPage = std::size_t{2} << 20;

struct Object {
  unsigned devices;
  unsigned added;
  unsigned count;
  stub::FileName bound[allnorm_kernel::kMaxRanks];
};

/// With the object's contents, which nobody else changes meanwhile. False if the handle is none of an object.
bool with_object(CUmemGenericAllocationHandle handle, const std::function<CUresult(Object&)>& work, CUresult& result) {
  const int file = stub::file_of(handle);
  if (file < 0) return false;
  // Of a description of its own: an inherited one would share the lock.
  const int mine = stub::open_file({::getpid(), file});
  if (mine < 0 || ::flock(mine, LOCK_EX) != 0) return false;
  void* place = ::mmap(nullptr, sizeof(Object), PROT_READ | PROT_WRITE, MAP_SHARED, mine, 0);
  if (place != MAP_FAILED) {
    result = work(*static_cast<Object*>(place));
    ::munmap(place, sizeof(Object));
  }
  ::close(mine);
  return place != MAP_FAILED;
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
    if (stub::setting("ALLNORM_STUB_MULTICAST", 0) == 2 && object->bound[i].process != ::getpid()) continue;
    const int file = stub::open_file(object->bound[i]);
    if (file < 0 || ::pwrite(file, vector, sizeof(vector), at) != static_cast<ssize_t>(sizeof(vector))) {
      return CUDA_ERROR_LAUNCH_FAILED;
    }
    ::close(file);
  }
  return CUDA_SUCCESS;
}

}  // namespace

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
  object.devices = properties->numDevices;
  if (::pwrite(file, &object, sizeof(object), 0) != static_cast<ssize_t>(sizeof(object))) return CUDA_ERROR_UNKNOWN;
  return *handle = stub::keep(file, properties->size), CUDA_SUCCESS;
}
CUresult cuMulticastAddDevice(CUmemGenericAllocationHandle handle, CUdevice) {
  FAIL_IF_ASKED(cuMulticastAddDevice);
  return change(handle, [](Object& object) {
    if (object.added == object.devices) return CUDA_ERROR_INVALID_VALUE;
    object.added++;
    return CUDA_SUCCESS;
  });
}
CUresult cuMulticastBindMem(CUmemGenericAllocationHandle handle, std::size_t, CUmemGenericAllocationHandle memory,
                            std::size_t, std::size_t bytes, unsigned long long) {
  FAIL_IF_ASKED(cuMulticastBindMem);
  const stub::FileName name{::getpid(), stub::file_of(memory)};
  if (name.file < 0 || bytes % kPage != 0) return CUDA_ERROR_INVALID_VALUE;
  return change(handle, [&](Object& object) {
    // The real one waits, or fails, until all devices were added.
    if (object.added != object.devices || object.count == object.devices) return CUDA_ERROR_NOT_READY;
    object.bound[object.count++] = name;
    stub::count_live(1);
    return CUDA_SUCCESS;
  });
}
CUresult cuMulticastUnbind(CUmemGenericAllocationHandle handle, CUdevice, std::size_t, std::size_t) {
  return change(handle, [](Object& object) {
    for (unsigned i = 0; i < object.count; i++) {
      if (object.bound[i].process != ::getpid()) continue;
      object.bound[i] = object.bound[--object.count];
      stub::count_live(-1);
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
