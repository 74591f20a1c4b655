// Loading a cubin and launching its kernel.
#include <fmt/format.h>

#include "allnorm/error.h"
#include "device/cuda/cuda_device.h"

namespace allnorm::cuda {
namespace {

class CudaKernel final : public LoadedKernel {
 public:
  CudaKernel(const CudaDevice& device, std::span<const std::byte> binary, const std::string& name,
             const LaunchShape& shape)
      : device_(device), shape_(shape) {
    const Driver& d = device.driver();
    const CurrentContext current(d, device.context());
    const BesideCaptures beside(d);
    d.check(d.cuModuleLoadData(&module_, binary.data()), "cuModuleLoadData");
    try {
      d.check(d.cuModuleGetFunction(&function_, module_, name.c_str()), "cuModuleGetFunction");
      // For real and now: with lazy loading the first launch would load, perhaps beside a kernel that spins.
      d.check(d.cuFuncLoad(function_), "cuFuncLoad");
      check_no_local_memory(name);
      fill_attributes();
      count_resident_clusters();
    } catch (...) {
      d.cuModuleUnload(module_);
      throw;
    }
  }

  ~CudaKernel() override {
    const Driver& d = device_.driver();
    CUcontext before = nullptr;
    d.cuCtxGetCurrent(&before);
    d.cuCtxSetCurrent(device_.context());
    const BesideCaptures beside(d);
    d.cuModuleUnload(module_);
    d.cuCtxSetCurrent(before);
  }
  CudaKernel(const CudaKernel&) = delete;
  CudaKernel& operator=(const CudaKernel&) = delete;

  unsigned max_resident_clusters() const noexcept override { return max_resident_clusters_; }

  void launch(unsigned clusters, void* params, Stream stream) const override {
    const Driver& d = device_.driver();
    const CurrentContext current(d, device_.context());
    CUlaunchConfig config = launch_config(clusters);
    config.hStream = static_cast<CUstream>(stream);
    void* arguments[] = {params};
    d.check(d.cuLaunchKernelEx(&config, function_, arguments, nullptr), "cuLaunchKernelEx");
  }

 private:
  /// Local memory may resize the context's stack at a launch, which synchronises; a spinning peer would deadlock.
  void check_no_local_memory(const std::string& name) const {
    const Driver& d = device_.driver();
    int bytes = 0;
    d.check(d.cuFuncGetAttribute(&bytes, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, function_), "cuFuncGetAttribute");
    if (bytes > 0) {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("kernel {} needs {} bytes of local memory per thread; choose a geometry with more warps",
                              name, bytes));
    }
  }

  void fill_attributes() {
    if (shape_.ctas_per_cluster > 1) {
      CUlaunchAttribute& cluster = attributes_[attribute_count_++];
      cluster.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
      cluster.value.clusterDim.x = shape_.ctas_per_cluster;
      cluster.value.clusterDim.y = 1;
      cluster.value.clusterDim.z = 1;
    }
    if (shape_.waits_for_predecessor) {
      CUlaunchAttribute& pdl = attributes_[attribute_count_++];
      pdl.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
      pdl.value.programmaticStreamSerializationAllowed = 1;
    }
  }

  CUlaunchConfig launch_config(unsigned clusters) const {
    CUlaunchConfig config{};
    config.gridDimX = clusters * shape_.ctas_per_cluster;
    config.gridDimY = config.gridDimZ = 1;
    config.blockDimX = shape_.threads_per_cta;
    config.blockDimY = config.blockDimZ = 1;
    config.attrs = attributes_;
    config.numAttrs = attribute_count_;
    return config;
  }

  void count_resident_clusters() {
    const Driver& d = device_.driver();
    int count = 0;
    if (shape_.ctas_per_cluster > 1) {
      const CUlaunchConfig config = launch_config(1);
      d.check(d.cuOccupancyMaxActiveClusters(&count, function_, &config), "cuOccupancyMaxActiveClusters");
    } else {
      d.check(
          d.cuOccupancyMaxActiveBlocksPerMultiprocessor(&count, function_, static_cast<int>(shape_.threads_per_cta), 0),
          "cuOccupancyMaxActiveBlocksPerMultiprocessor");
      count *= device_.multiprocessors();
    }
    max_resident_clusters_ = static_cast<unsigned>(count);
  }

  const CudaDevice& device_;
  LaunchShape shape_;
  CUmodule module_ = nullptr;
  CUfunction function_ = nullptr;
  mutable CUlaunchAttribute attributes_[2] = {};  // the driver takes a pointer to non-const, and only reads
  unsigned attribute_count_ = 0;
  unsigned max_resident_clusters_ = 0;
};

}  // namespace

std::unique_ptr<LoadedKernel> CudaDevice::load(std::span<const std::byte> binary, const std::string& kernel_name,
                                               const LaunchShape& shape) {
  return std::make_unique<CudaKernel>(*this, binary, kernel_name, shape);
}

}  // namespace allnorm::cuda
