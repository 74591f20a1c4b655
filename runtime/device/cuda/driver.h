// The CUDA driver API, loaded with dlopen: a machine without a driver can link and run AllNorm, and gets a clear error.
//
// Immutable once loaded; any thread. What a function here returns goes to check(), which turns a CUresult into an
// Error, or to warn().
#ifndef ALLNORM_DEVICE_CUDA_DRIVER_H_
#define ALLNORM_DEVICE_CUDA_DRIVER_H_

#include <cuda.h>

#include <memory>
#include <string>

namespace allnorm::cuda {

// name in Driver, symbol in libcuda
#define ALLNORM_DRIVER_FUNCTIONS(X)                                                           \
  X(cuInit, cuInit)                                                                           \
  X(cuDriverGetVersion, cuDriverGetVersion)                                                   \
  X(cuGetErrorName, cuGetErrorName)                                                           \
  X(cuGetErrorString, cuGetErrorString)                                                       \
  X(cuDeviceGetCount, cuDeviceGetCount)                                                       \
  X(cuDeviceGet, cuDeviceGet)                                                                 \
  X(cuDeviceGetName, cuDeviceGetName)                                                         \
  X(cuDeviceGetAttribute, cuDeviceGetAttribute)                                               \
  X(cuDeviceGetUuid, cuDeviceGetUuid_v2)                                                      \
  X(cuDeviceTotalMem, cuDeviceTotalMem_v2)                                                    \
  X(cuDeviceCanAccessPeer, cuDeviceCanAccessPeer)                                             \
  X(cuDeviceGetP2PAttribute, cuDeviceGetP2PAttribute)                                         \
  X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain)                                       \
  X(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2)                                  \
  X(cuCtxGetCurrent, cuCtxGetCurrent)                                                         \
  X(cuCtxSetCurrent, cuCtxSetCurrent)                                                         \
  X(cuCtxSynchronize, cuCtxSynchronize)                                                       \
  X(cuCtxGetDevice, cuCtxGetDevice)                                                           \
  X(cuModuleLoadData, cuModuleLoadData)                                                       \
  X(cuModuleUnload, cuModuleUnload)                                                           \
  X(cuModuleGetFunction, cuModuleGetFunction)                                                 \
  X(cuFuncLoad, cuFuncLoad)                                                                   \
  X(cuFuncGetAttribute, cuFuncGetAttribute)                                                   \
  X(cuFuncSetAttribute, cuFuncSetAttribute)                                                   \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor, cuOccupancyMaxActiveBlocksPerMultiprocessor) \
  X(cuOccupancyMaxActiveClusters, cuOccupancyMaxActiveClusters)                               \
  X(cuLaunchKernelEx, cuLaunchKernelEx)                                                       \
  X(cuMemCreate, cuMemCreate)                                                                 \
  X(cuMemRelease, cuMemRelease)                                                               \
  X(cuMemAddressReserve, cuMemAddressReserve)                                                 \
  X(cuMemAddressFree, cuMemAddressFree)                                                       \
  X(cuMemMap, cuMemMap)                                                                       \
  X(cuMemUnmap, cuMemUnmap)                                                                   \
  X(cuMemSetAccess, cuMemSetAccess)                                                           \
  X(cuMemExportToShareableHandle, cuMemExportToShareableHandle)                               \
  X(cuMemImportFromShareableHandle, cuMemImportFromShareableHandle)                           \
  X(cuMemGetAllocationGranularity, cuMemGetAllocationGranularity)                             \
  X(cuMulticastGetGranularity, cuMulticastGetGranularity)                                     \
  X(cuMulticastCreate, cuMulticastCreate)                                                     \
  X(cuMulticastAddDevice, cuMulticastAddDevice)                                               \
  X(cuMulticastBindMem, cuMulticastBindMem)                                                   \
  X(cuMulticastUnbind, cuMulticastUnbind)                                                     \
  X(cuMemAlloc, cuMemAlloc_v2)                                                                \
  X(cuMemFree, cuMemFree_v2)                                                                  \
  X(cuMemGetInfo, cuMemGetInfo_v2)                                                            \
  X(cuMemsetD32Async, cuMemsetD32Async)                                                       \
  X(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2)                                                  \
  X(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2)                                                  \
  X(cuPointerGetAttributes, cuPointerGetAttributes)                                           \
  X(cuStreamCreate, cuStreamCreate)                                                           \
  X(cuStreamCreateWithPriority, cuStreamCreateWithPriority)                                   \
  X(cuStreamDestroy, cuStreamDestroy_v2)                                                      \
  X(cuStreamSynchronize, cuStreamSynchronize)                                                 \
  X(cuStreamGetFlags, cuStreamGetFlags)                                                       \
  X(cuStreamGetCtx, cuStreamGetCtx)                                                           \
  X(cuStreamIsCapturing, cuStreamIsCapturing)                                                 \
  X(cuThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode)                     \
  X(cuStreamBeginCapture, cuStreamBeginCapture_v2)                                            \
  X(cuStreamEndCapture, cuStreamEndCapture)                                                   \
  X(cuStreamWaitEvent, cuStreamWaitEvent)                                                     \
  X(cuGraphInstantiate, cuGraphInstantiateWithFlags)                                          \
  X(cuGraphLaunch, cuGraphLaunch)                                                             \
  X(cuGraphDestroy, cuGraphDestroy)                                                           \
  X(cuGraphExecDestroy, cuGraphExecDestroy)                                                   \
  X(cuEventCreate, cuEventCreate)                                                             \
  X(cuEventDestroy, cuEventDestroy_v2)                                                        \
  X(cuEventRecord, cuEventRecord)                                                             \
  X(cuEventSynchronize, cuEventSynchronize)                                                   \
  X(cuEventElapsedTime, cuEventElapsedTime)

struct Driver {
#define ALLNORM_DECLARE(name, symbol) decltype(&::name) name = nullptr;
  ALLNORM_DRIVER_FUNCTIONS(ALLNORM_DECLARE)
#undef ALLNORM_DECLARE

  int version = 0;   ///< 13000 for CUDA 13.0
  std::string path;  ///< What dlopen was given.

  /// `path` empty: libcuda.so.1. Calls cuInit. Throws kDriver: no library, too old (before CUDA 12.4), or no GPU for
  /// it.
  static std::shared_ptr<const Driver> load(const std::string& path);

  /// Throws kDriver with the call, its error name and text, and what to do for the errors that users meet.
  void check(CUresult result, const char* what) const;
  /// For what gives things back, and cannot throw: a warning in the log. None where the driver has ended before, and
  /// taken everything with it.
  void warn(CUresult result, const char* what) const noexcept;
};

}  // namespace allnorm::cuda

#endif  // ALLNORM_DEVICE_CUDA_DRIVER_H_
