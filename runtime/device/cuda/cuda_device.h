// A GPU behind the Device seam, over its primary context, so that memory and streams of the CUDA runtime fit.
#ifndef ALLNORM_DEVICE_CUDA_CUDA_DEVICE_H_
#define ALLNORM_DEVICE_CUDA_CUDA_DEVICE_H_

#include <memory>
#include <string>
#include <vector>

#include "device/cuda/driver.h"
#include "device/device.h"

namespace allnorm::cuda {

/// Makes a context current for a scope. Costs one driver call where it is current already.
class CurrentContext {
 public:
  CurrentContext(const Driver& driver, CUcontext context);
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  const Driver& driver_;
  CUcontext before_ = nullptr;
  bool changed_ = false;
};

/// Lets a scope do what another stream's capture (in global mode) would forbid or be broken by: our own allocations,
/// loads, and copies on our own stream have nothing to do with what is captured.
class BesideCaptures {
 public:
  explicit BesideCaptures(const Driver& driver) : driver_(driver) { driver_.cuThreadExchangeStreamCaptureMode(&mode_); }
  ~BesideCaptures() { driver_.cuThreadExchangeStreamCaptureMode(&mode_); }
  BesideCaptures(const BesideCaptures&) = delete;
  BesideCaptures& operator=(const BesideCaptures&) = delete;

 private:
  const Driver& driver_;
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;
};

class CudaDevice final : public Device {
 public:
  /// Throws kUnsupported for a GPU that no kernel target fits, kDriver.
  CudaDevice(std::shared_ptr<const Driver> driver, int ordinal);
  ~CudaDevice() override;

  int ordinal() const noexcept override { return ordinal_; }
  const std::string& name() const noexcept override { return name_; }
  const std::string& identity() const noexcept override { return identity_; }
  Target target() const noexcept override { return target_; }
  int multiprocessors() const noexcept override { return multiprocessors_; }
  std::unique_ptr<LoadedKernel> load(std::span<const std::byte> binary, const std::string& kernel_name,
                                     const LaunchShape& shape) override;
  std::unique_ptr<DeviceMemory> allocate_symmetric(std::size_t bytes, std::span<Device* const> peers) override;
  std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) override;
  std::unique_ptr<DeviceMemory> allocate_shareable(std::size_t bytes, MemoryHandle::Kind kind) override;
  MemoryHandle export_memory(const DeviceMemory& memory, MemoryHandle::Kind kind) override;
  std::unique_ptr<DeviceMemory> import_memory(const MemoryHandle& handle, std::size_t bytes) override;
  void release_pages(DeviceMemory& memory) override;
  void renew_pages(DeviceMemory& memory) override;
  void renew_pages(DeviceMemory& memory, const MemoryHandle& handle) override;
  std::unique_ptr<Multicast> create_multicast(std::span<Device* const> here, std::size_t bytes, int ranks,
                                              std::optional<MemoryHandle::Kind> kind) override;
  std::unique_ptr<Multicast> import_multicast(const MemoryHandle& handle, std::size_t bytes, int ranks) override;
  void fill_words(void* to, std::uint32_t word, std::size_t bytes) override;
  void copy_to_device(void* to, const void* from, std::size_t bytes) override;
  void copy_to_host(void* to, const void* from, std::size_t bytes) override;
  void synchronize() override;
  Stream create_stream() override;
  void destroy_stream(Stream stream) noexcept override;
  void synchronize(Stream stream) override;
  void check_stream(Stream stream, bool non_blocking) const override;
  bool is_capturing(Stream stream) const override;
  AddressRange range_of(const void* address) const override;

  const Driver& driver() const noexcept { return *driver_; }
  CUcontext context() const noexcept { return context_; }

 private:
  std::shared_ptr<const Driver> driver_;
  int ordinal_;
  CUdevice handle_ = 0;
  std::string name_;
  std::string identity_;
  Target target_ = Target::kSm90a;
  int multiprocessors_ = 0;
  CUcontext context_ = nullptr;
  CUstream own_stream_ = nullptr;  ///< Of the highest priority, so that it has a hardware queue of its own.
};

/// The target for a compute capability. Throws kUnsupported with the list of those that there are.
Target target_of(int major, int minor, const std::string& name);

}  // namespace allnorm::cuda

#endif  // ALLNORM_DEVICE_CUDA_CUDA_DEVICE_H_
