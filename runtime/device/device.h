// Device: the seam between the runtime and whatever runs kernels.
//
// device/cuda implements it over the CUDA driver; the simulator implements it on CPU fibers. Pointers are addresses as
// kernels see them. Functions throw allnorm::Error (kDriver, kUnsupported) and may be called from any thread.
#ifndef ALLNORM_DEVICE_DEVICE_H_
#define ALLNORM_DEVICE_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "allnorm/types.h"
#include "dispatch/spec.h"
#include "env/descriptor.h"

namespace allnorm {

/// Memory of a device; freed with the object.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  virtual void* data() const noexcept = 0;
};

/// How another process gets at memory of a device.
struct MemoryHandle {
  enum class Kind : std::uint8_t {
    kFabric,     ///< Bytes that are good in every process of an NVLink domain.
    kDescriptor  ///< A file, for processes of this host.
  };
  Kind kind = Kind::kDescriptor;
  std::string fabric;
  Descriptor descriptor;
};

/// An address that stands for the same place in the symmetric memory of every rank. Each rank takes the steps in this
/// order: it is made by one of them and imported by the others; add(); bind(); map(). None takes a step before all have
/// taken the one before: the driver may wait in it, without a limit, for a rank that has not. A process whose ranks are
/// all here has one object for them.
class Multicast : public DeviceMemory {
 public:
  /// Of one that was made for this.
  virtual MemoryHandle export_handle() const = 0;
  /// The GPUs of this process.
  virtual void add() = 0;
  /// The symmetric memory of each of them. Throws kUnsupported where it is too small.
  virtual void bind(std::span<DeviceMemory* const> own) = 0;
  /// From now on there is data(), which can be stored to.
  virtual void map() = 0;
};

/// How a kernel is launched, apart from the number of CTAs.
struct LaunchShape {
  unsigned threads_per_cta = 32;
  unsigned ctas_per_cluster = 1;
  bool waits_for_predecessor = false;  ///< Contains griddepcontrol.wait: may start early (PDL).
};

/// A kernel loaded on a device; must not outlive it. `params` points to ParamsFor<72>, of which a kernel for fewer
/// ranks reads what it needs (kernels_src/params.cuh).
class LoadedKernel {
 public:
  virtual ~LoadedKernel() = default;
  /// Clusters that can be resident together on the whole device.
  virtual unsigned max_resident_clusters() const noexcept = 0;
  /// The hot path: no lock, no allocation. `params` is the kernel's one argument.
  virtual void launch(unsigned clusters, void* params, Stream stream) const = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual int ordinal() const noexcept = 0;
  virtual const std::string& name() const noexcept = 0;  ///< "NVIDIA H200"
  /// What tells it from every other device, of any host.
  virtual const std::string& identity() const noexcept = 0;
  virtual Target target() const noexcept = 0;
  virtual int multiprocessors() const noexcept = 0;

  virtual std::unique_ptr<LoadedKernel> load(std::span<const std::byte> binary, const std::string& kernel_name,
                                             const LaunchShape& shape) = 0;

  /// Memory that this device and the `peers` can store into. Throws kUnsupported, naming the pair, if one cannot.
  virtual std::unique_ptr<DeviceMemory> allocate_symmetric(std::size_t bytes, std::span<Device* const> peers) = 0;
  virtual std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) = 0;
  /// Memory that other processes can map. Throws kDriver or kUnsupported where there is none of this kind.
  virtual std::unique_ptr<DeviceMemory> allocate_shareable(std::size_t bytes, MemoryHandle::Kind kind) = 0;
  /// Of memory that allocate_shareable() gave, for this kind.
  virtual MemoryHandle export_memory(const DeviceMemory& memory, MemoryHandle::Kind kind) = 0;
  /// Another process's memory, of which it asked for so many bytes; for this device to store into.
  virtual std::unique_ptr<DeviceMemory> import_memory(const MemoryHandle& handle, std::size_t bytes) = 0;
  /// Gives the pages of symmetric, shareable or imported memory back, and keeps the addresses.
  virtual void release_pages(DeviceMemory& memory) = 0;
  /// New pages at the same addresses, with nothing in them: this device's own, or those behind another process's
  /// handle.
  virtual void renew_pages(DeviceMemory& memory) = 0;
  virtual void renew_pages(DeviceMemory& memory, const MemoryHandle& handle) = 0;
  /// For symmetric memory of so many bytes of `ranks` ranks, of which those of the devices `here` are this process's. A
  /// kind: other processes can import it. Throws kUnsupported where there is no multicast.
  virtual std::unique_ptr<Multicast> create_multicast(std::span<Device* const> here, std::size_t bytes, int ranks,
                                                      std::optional<MemoryHandle::Kind> kind) = 0;
  /// Another process's, for this device.
  virtual std::unique_ptr<Multicast> import_multicast(const MemoryHandle& handle, std::size_t bytes, int ranks) = 0;
  /// Beside kernels that run: neither waits for a spinning kernel.
  virtual void fill_words(void* to, std::uint32_t word, std::size_t bytes) = 0;
  virtual void copy_to_device(void* to, const void* from, std::size_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, std::size_t bytes) = 0;
  /// Waits for everything on the device.
  virtual void synchronize() = 0;

  /// A non-blocking stream of this device.
  virtual Stream create_stream() = 0;
  /// Waits for what it holds.
  virtual void destroy_stream(Stream stream) noexcept = 0;
  virtual void synchronize(Stream stream) = 0;

  /// Throws kInvalidArgument if the stream is not of this device; if `non_blocking` is asked for, also if the stream
  /// synchronises with the legacy default stream.
  virtual void check_stream(Stream stream, bool non_blocking) const = 0;
  virtual bool is_capturing(Stream stream) const = 0;
  /// The range of device memory that holds `address`, and whose it is; device -1 if it is not device memory at all.
  struct AddressRange {
    int device = -1;
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
  };
  virtual AddressRange range_of(const void* address) const = 0;
};

}  // namespace allnorm

#endif  // ALLNORM_DEVICE_DEVICE_H_
