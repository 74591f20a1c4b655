#include "device/sim/sim_device.h"

#include <fmt/format.h>
#include <unistd.h>

#include "allnorm/error.h"
#include "device/sim/host_library.h"
#include "device/sim/operations.h"

namespace allnorm::sim {
namespace {

class SimMemory final : public DeviceMemory {
 public:
  SimMemory(std::shared_ptr<Machine> machine, void* data) : machine_(std::move(machine)), data_(data) {}
  ~SimMemory() override { machine_->free(data_); }
  SimMemory(const SimMemory&) = delete;
  SimMemory& operator=(const SimMemory&) = delete;
  void* data() const noexcept override { return data_; }

 private:
  std::shared_ptr<Machine> machine_;
  void* data_;
};

[[noreturn]] void refuse_sharing() {
  throw Error(ErrorCode::kUnsupported,
              "a simulated GPU belongs to its process: ranks on the simulator must all be in one (a World of devices)");
}

class SimMulticast final : public Multicast {
 public:
  SimMulticast(std::shared_ptr<Machine> machine, std::size_t bytes) : machine_(std::move(machine)), bytes_(bytes) {}
  void* data() const noexcept override { return address_->data(); }
  MemoryHandle export_handle() const override { refuse_sharing(); }
  void add() override {}
  void bind(std::span<DeviceMemory* const> own) override {
    for (const DeviceMemory* memory : own) members_.push_back(memory->data());
  }
  void map() override {
    address_ = std::make_unique<SimMemory>(machine_, machine_->allocate_multicast(members_, bytes_));
  }

 private:
  std::shared_ptr<Machine> machine_;
  std::size_t bytes_;
  std::vector<void*> members_;
  std::unique_ptr<SimMemory> address_;
};

}  // namespace

class SimKernel final : public LoadedKernel {
 public:
  SimKernel(const SimDevice& device, std::span<const std::byte> binary, const std::string& name,
            const LaunchShape& shape)
      : device_(device), library_(binary, &host_operations(), device.temporary_dir_) {
    kernel_.entry = library_.entry_point(name);
    kernel_.name = name;
    kernel_.threads_per_cta = shape.threads_per_cta;
    kernel_.ctas_per_cluster = shape.ctas_per_cluster;
    kernel_.waits_for_predecessor = shape.waits_for_predecessor;
  }

  unsigned max_resident_clusters() const noexcept override {
    return device_.machine().capacity() / Machine::cta_cost(kernel_) / kernel_.ctas_per_cluster;
  }

  void launch(unsigned clusters, void* params, allnorm::Stream stream) const override {
    device_.machine().launch(&device_.stream_of(stream), {&kernel_, clusters, *static_cast<KernelParams*>(params)});
  }

 private:
  const SimDevice& device_;
  HostLibrary library_;
  Kernel kernel_;
};

SimDevice::SimDevice(std::shared_ptr<Machine> machine, int ordinal, std::string temporary_dir)
    : machine_(std::move(machine)),
      ordinal_(ordinal),
      name_("simulated GPU"),
      identity_(fmt::format("simulated GPU {} of process {}", ordinal, ::getpid())),
      temporary_dir_(std::move(temporary_dir)) {}

std::unique_ptr<LoadedKernel> SimDevice::load(std::span<const std::byte> binary, const std::string& kernel_name,
                                              const LaunchShape& shape) {
  return std::make_unique<SimKernel>(*this, binary, kernel_name, shape);
}

std::unique_ptr<DeviceMemory> SimDevice::allocate_shareable(std::size_t, MemoryHandle::Kind) { refuse_sharing(); }
void SimDevice::renew_pages(DeviceMemory&, const MemoryHandle&) { refuse_sharing(); }
MemoryHandle SimDevice::export_memory(const DeviceMemory&, MemoryHandle::Kind) { refuse_sharing(); }
std::unique_ptr<DeviceMemory> SimDevice::import_memory(const MemoryHandle&, std::size_t) { refuse_sharing(); }

std::unique_ptr<DeviceMemory> SimDevice::allocate_symmetric(std::size_t bytes, std::span<Device* const>) {
  const std::string name = fmt::format("symmetric memory of GPU {}", ordinal_);
  return std::make_unique<SimMemory>(machine_, machine_->allocate(bytes, ordinal_, Machine::Reach::kAllDevices, name));
}

std::unique_ptr<DeviceMemory> SimDevice::allocate(std::size_t bytes) {
  const std::string name = fmt::format("memory of GPU {}", ordinal_);
  return std::make_unique<SimMemory>(machine_, machine_->allocate(bytes, ordinal_, Machine::Reach::kOwnDevice, name));
}

std::unique_ptr<Multicast> SimDevice::create_multicast(std::span<Device* const>, std::size_t bytes, int,
                                                       std::optional<MemoryHandle::Kind>) {
  return std::make_unique<SimMulticast>(machine_, bytes);
}

std::unique_ptr<Multicast> SimDevice::import_multicast(const MemoryHandle&, std::size_t, int) { refuse_sharing(); }

void SimDevice::fill_words(void* to, std::uint32_t word, std::size_t bytes) { machine_->fill(to, word, bytes); }
void SimDevice::copy_to_device(void* to, const void* from, std::size_t bytes) { machine_->write(to, from, bytes); }
void SimDevice::copy_to_host(void* to, const void* from, std::size_t bytes) { machine_->read(to, from, bytes); }
void SimDevice::synchronize() { machine_->synchronize(ordinal_); }

allnorm::Stream SimDevice::create_stream() { return machine_->create_stream(ordinal_, true); }

void SimDevice::destroy_stream(allnorm::Stream stream) noexcept {
  try {
    machine_->destroy_stream(&stream_of(stream));
  } catch (...) {
    // What it held failed, and a destructor has nobody to tell.
  }
}

void SimDevice::synchronize(allnorm::Stream stream) { machine_->synchronize(&stream_of(stream)); }

sim::Stream& SimDevice::stream_of(allnorm::Stream stream) const {
  sim::Stream* const found = machine_->find_stream(stream, ordinal_);
  if (found == nullptr || found->device != ordinal_) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("stream: {}; this rank runs on simulated GPU {} and needs a stream of it",
                    found == nullptr ? "is none of the simulator" : "belongs to another simulated GPU", ordinal_));
  }
  return *found;
}

void SimDevice::check_stream(allnorm::Stream stream, bool non_blocking) const {
  if (stream_of(stream).non_blocking || !non_blocking) return;
  throw Error(ErrorCode::kInvalidArgument,
              "stream: virtual ranks share a GPU and need streams that run beside each other; a blocking or default "
              "stream was given");
}

bool SimDevice::is_capturing(allnorm::Stream stream) const { return stream_of(stream).capture != nullptr; }

Device::AddressRange SimDevice::range_of(const void* address) const {
  const Machine::Range range = machine_->range_of(address);
  return {range.device, static_cast<std::uintptr_t>(range.begin), static_cast<std::uintptr_t>(range.end)};
}

}  // namespace allnorm::sim
