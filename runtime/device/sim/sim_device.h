// A simulated GPU behind the Device seam.
#ifndef ALLNORM_DEVICE_SIM_SIM_DEVICE_H_
#define ALLNORM_DEVICE_SIM_SIM_DEVICE_H_

#include <memory>
#include <string>

#include "device/device.h"
#include "device/sim/machine.h"

namespace allnorm::sim {

class SimDevice final : public Device {
 public:
  /// `temporary_dir`: where kernels are put if they cannot be loaded from memory.
  SimDevice(std::shared_ptr<Machine> machine, int ordinal, std::string temporary_dir);

  int ordinal() const noexcept override { return ordinal_; }
  const std::string& name() const noexcept override { return name_; }
  const std::string& identity() const noexcept override { return identity_; }
  Target target() const noexcept override { return Target::kHost; }
  int multiprocessors() const noexcept override { return static_cast<int>(machine_->options().multiprocessors); }
  std::unique_ptr<LoadedKernel> load(std::span<const std::byte> binary, const std::string& kernel_name,
                                     const LaunchShape& shape) override;
  std::unique_ptr<DeviceMemory> allocate_symmetric(std::size_t bytes, std::span<Device* const> peers) override;
  std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) override;
  // A simulated GPU belongs to its process: these throw kUnsupported.
  std::unique_ptr<DeviceMemory> allocate_shareable(std::size_t bytes, MemoryHandle::Kind kind) override;
  MemoryHandle export_memory(const DeviceMemory& memory, MemoryHandle::Kind kind) override;
  std::unique_ptr<DeviceMemory> import_memory(const MemoryHandle& handle, std::size_t bytes) override;
  void renew_pages(DeviceMemory& memory, const MemoryHandle& handle) override;
  // It has no pages to give back.
  void release_pages(DeviceMemory& /*memory*/) override {}
  void renew_pages(DeviceMemory& /*memory*/) override {}
  std::unique_ptr<Multicast> create_multicast(std::span<Device* const> here, std::size_t bytes, int ranks,
                                              std::optional<MemoryHandle::Kind> kind) override;
  std::unique_ptr<Multicast> import_multicast(const MemoryHandle& handle, std::size_t bytes, int ranks) override;
  void fill_words(void* to, std::uint32_t word, std::size_t bytes) override;
  void copy_to_device(void* to, const void* from, std::size_t bytes) override;
  void copy_to_host(void* to, const void* from, std::size_t bytes) override;
  void synchronize() override;
  allnorm::Stream create_stream() override;
  void destroy_stream(allnorm::Stream stream) noexcept override;
  void synchronize(allnorm::Stream stream) override;
  void check_stream(allnorm::Stream stream, bool non_blocking) const override;
  bool is_capturing(allnorm::Stream stream) const override;
  AddressRange range_of(const void* address) const override;

  Machine& machine() const noexcept { return *machine_; }

 private:
  /// Throws kInvalidArgument for what is no stream of this device.
  sim::Stream& stream_of(allnorm::Stream stream) const;

  std::shared_ptr<Machine> machine_;
  int ordinal_;
  std::string name_;
  std::string identity_;
  std::string temporary_dir_;

  friend class SimKernel;
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_SIM_DEVICE_H_
