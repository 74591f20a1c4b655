// VirtualMemory: memory of a GPU by way of CUDA's virtual memory management, mapped for the GPUs that are to use it.
//
// One mapping serves all GPUs of the process: addresses are unified. It is unmapped and given back with the object; the
// memory itself lives on while another process has it mapped.
#ifndef ALLNORM_DEVICE_CUDA_VIRTUAL_MEMORY_H_
#define ALLNORM_DEVICE_CUDA_VIRTUAL_MEMORY_H_

#include <set>

#include "device/cuda/driver.h"
#include "device/device.h"

namespace allnorm::cuda {

CUmemAllocationHandleType handle_type_of(MemoryHandle::Kind kind) noexcept;
std::size_t whole_pages(std::size_t bytes, std::size_t page) noexcept;

/// Of memory or a multicast object. Both throw kDriver; import_handle() also kPeer, for what is no handle.
MemoryHandle export_handle(const Driver& driver, CUmemGenericAllocationHandle handle, MemoryHandle::Kind kind);
CUmemGenericAllocationHandle import_handle(const Driver& driver, const MemoryHandle& handle);

class VirtualMemory final : public DeviceMemory {
 public:
  /// New memory of GPU `owner`; `handle_type` says how other processes may get at it. Throws kDriver.
  VirtualMemory(const Driver& driver, int owner, const std::set<int>& users, std::size_t bytes,
                CUmemAllocationHandleType handle_type);
  /// Memory of another process, as large as the allocation there. Throws kDriver.
  VirtualMemory(const Driver& driver, int user, std::size_t bytes, const MemoryHandle& handle);
  ~VirtualMemory() override;
  VirtualMemory(const VirtualMemory&) = delete;
  VirtualMemory& operator=(const VirtualMemory&) = delete;

  void* data() const noexcept override { return reinterpret_cast<void*>(address_); }
  /// Throws kDriver, unless it was made for handles of this kind.
  MemoryHandle export_handle(MemoryHandle::Kind kind) const;
  CUmemGenericAllocationHandle handle() const noexcept { return handle_; }
  std::size_t bytes() const noexcept { return bytes_; }

  /// The addresses stay, with nothing behind them, until renew_pages(): of its own, or of another process's handle. All
  /// throw kDriver.
  void release_pages();
  void renew_pages();
  void renew_pages(const MemoryHandle& handle);

 private:
  void create();
  void map();
  void map_import();
  void release() noexcept;

  const Driver& driver_;
  CUmemAllocationProp properties_;
  std::set<int> users_;
  std::size_t granularity_ = 0;
  std::size_t bytes_ = 0;  ///< Whole pages.
  CUmemGenericAllocationHandle handle_ = 0;
  CUdeviceptr address_ = 0;
  bool mapped_ = false;
};

}  // namespace allnorm::cuda

#endif  // ALLNORM_DEVICE_CUDA_VIRTUAL_MEMORY_H_
