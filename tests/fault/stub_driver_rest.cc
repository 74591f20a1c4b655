// What a driver must have and stub_driver.cc has no use for: nothing is launched.
#define NOT_SUPPORTED(function)                                                           \
  extern "C" __attribute__((visibility("default"))) int function() {                      \
    return 801; /* CUDA_ERROR_NOT_SUPPORTED; without cuda.h, whose declarations differ */ \
  }
NOT_SUPPORTED(cuDeviceTotalMem_v2)
NOT_SUPPORTED(cuDeviceGetP2PAttribute)
NOT_SUPPORTED(cuCtxGetDevice)
NOT_SUPPORTED(cuFuncSetAttribute)
NOT_SUPPORTED(cuOccupancyMaxActiveClusters)
NOT_SUPPORTED(cuMemGetInfo_v2)
NOT_SUPPORTED(cuPointerGetAttributes)
NOT_SUPPORTED(cuStreamGetFlags)
NOT_SUPPORTED(cuStreamGetCtx)
NOT_SUPPORTED(cuStreamIsCapturing)
NOT_SUPPORTED(cuStreamBeginCapture_v2)
NOT_SUPPORTED(cuStreamEndCapture)
NOT_SUPPORTED(cuStreamWaitEvent)
NOT_SUPPORTED(cuGraphInstantiateWithFlags)
NOT_SUPPORTED(cuGraphLaunch)
NOT_SUPPORTED(cuGraphDestroy)
NOT_SUPPORTED(cuGraphExecDestroy)
NOT_SUPPORTED(cuEventCreate)
NOT_SUPPORTED(cuEventDestroy_v2)
NOT_SUPPORTED(cuEventRecord)
NOT_SUPPORTED(cuEventSynchronize)
NOT_SUPPORTED(cuEventElapsedTime)
