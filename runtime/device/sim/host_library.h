// HostLibrary: a kernel for the target `host`, loaded from bytes into this process.
//
// The bytes are those of our own compiler, or of a cache that has checked their digest: the dynamic linker trusts what
// it is given. Immutable once loaded.
#ifndef ALLNORM_DEVICE_SIM_HOST_LIBRARY_H_
#define ALLNORM_DEVICE_SIM_HOST_LIBRARY_H_

#include <cstddef>
#include <span>
#include <string>

#include "kernels_src/host_ops.cuh"

namespace allnorm::sim {

class HostLibrary {
 public:
  using EntryPoint = void (*)(const void* params);
  /// Where the bytes lie while they are loaded: in memory, or, where the system refuses that, in a file.
  enum class Place : unsigned char { kMemory, kFile };

  /// Gives the library `ops`, which outlive it. Throws kDriver if it cannot be loaded, or was made for another version
  /// of them. `temporary_dir` is for Place::kFile.
  HostLibrary(std::span<const std::byte> binary, const allnorm_kernel::HostOps* ops, const std::string& temporary_dir,
              Place place = Place::kMemory);
  ~HostLibrary();
  HostLibrary(const HostLibrary&) = delete;
  HostLibrary& operator=(const HostLibrary&) = delete;

  /// The kernel of that name. Throws kDriver if there is none.
  EntryPoint entry_point(const std::string& name) const;

 private:
  void load(std::span<const std::byte> binary, const std::string& temporary_dir, Place place);
  void connect(const allnorm_kernel::HostOps* ops);
  void unload() noexcept;
  /// Throws kDriver.
  void* find(const std::string& name) const;

  void* library_ = nullptr;
  int file_ = -1;
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_HOST_LIBRARY_H_
