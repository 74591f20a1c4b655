#include "device/sim/host_library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "allnorm/error.h"
#include "env/temporary_folder.h"

namespace allnorm::sim {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A file without a name, or -1.
int file_in_memory(std::string_view bytes) {
  const int file = memfd_create("allnorm_kernel", MFD_CLOEXEC);
  while (file >= 0 && !bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      close(file);
      return -1;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return file;
}

void* open_library(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }

}  // namespace

HostLibrary::HostLibrary(std::span<const std::byte> binary, const allnorm_kernel::HostOps* ops,
                         const std::string& temporary_dir, Place place) {
  load(binary, temporary_dir, place);
  try {
    connect(ops);
  } catch (...) {
    unload();
    throw;
  }
}

HostLibrary::~HostLibrary() { unload(); }

void HostLibrary::load(std::span<const std::byte> binary, const std::string& temporary_dir, Place place) {
  std::string refused;
  if (place == Place::kMemory) {
    // Open for as long as the library is loaded: the dynamic linker takes equal names for the same library, and another
    // file of this number would have its name.
    file_ = file_in_memory(text_of(binary));
    if (file_ >= 0) {
      library_ = open_library(fmt::format("/proc/self/fd/{}", file_));
      if (library_ != nullptr) return;
      refused = dlerror();
      close(file_);
      file_ = -1;
    } else {
      refused = fmt::format("memfd_create: {}", std::strerror(errno));
    }
  }
  const TemporaryFolder folder(temporary_dir, ErrorCode::kDriver);
  folder.write("kernel.so", text_of(binary));
  library_ = open_library(folder / "kernel.so");
  if (library_ != nullptr) return;
  std::string reason = dlerror();
  if (!refused.empty()) reason += fmt::format("; {}", refused);
  throw Error(ErrorCode::kDriver, fmt::format("a kernel for the simulator cannot be loaded: {}", reason));
}

void HostLibrary::connect(const allnorm_kernel::HostOps* ops) {
  const unsigned version = *static_cast<const unsigned*>(find("allnorm_host_ops_version"));
  if (version != allnorm_kernel::kHostOpsVersion) {
    throw Error(ErrorCode::kDriver,
                fmt::format("a kernel for the simulator was made for another version of it ({}, this is {}); remove it "
                            "from the cache",
                            version, allnorm_kernel::kHostOpsVersion));
  }
  *static_cast<const allnorm_kernel::HostOps**>(find("allnorm_host_ops")) = ops;
}

void HostLibrary::unload() noexcept {
  if (library_ != nullptr) dlclose(library_);
  if (file_ >= 0) close(file_);
}

void* HostLibrary::find(const std::string& name) const {
  if (void* symbol = dlsym(library_, name.c_str())) return symbol;
  throw Error(ErrorCode::kDriver, fmt::format("a kernel for the simulator has no {}", name));
}

HostLibrary::EntryPoint HostLibrary::entry_point(const std::string& name) const {
  return reinterpret_cast<EntryPoint>(find(name));
}

}  // namespace allnorm::sim
