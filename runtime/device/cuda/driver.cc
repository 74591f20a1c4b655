#include "device/cuda/driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "allnorm/error.h"
#include "env/log.h"

namespace allnorm::cuda {
namespace {

constexpr int kOldestVersion = 12040;  // cuFuncLoad

std::string advice(CUresult result) {
  switch (result) {
    case CUDA_ERROR_NO_DEVICE: return "; no GPU is visible: look at CUDA_VISIBLE_DEVICES and nvidia-smi";
    case CUDA_ERROR_OUT_OF_MEMORY: return "; the GPU has no memory left for this: make the workspace smaller";
    case CUDA_ERROR_SYSTEM_DRIVER_MISMATCH:
      return "; the driver's kernel module and library differ: reboot, or mount the host's library";
    case CUDA_ERROR_SYSTEM_NOT_READY: return "; start nvidia-fabricmanager";
    case CUDA_ERROR_NO_BINARY_FOR_GPU: return "; the kernel was compiled for another GPU";
    default: return "";
  }
}

}  // namespace

std::shared_ptr<const Driver> Driver::load(const std::string& path) {
  auto driver = std::make_shared<Driver>();
  driver->path = path.empty() ? "libcuda.so.1" : path;
  void* library = dlopen(driver->path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(
        ErrorCode::kDriver,
        fmt::format("the CUDA driver could not be loaded ({}); install the NVIDIA driver, or name its library in "
                    "ALLNORM_DRIVER",
                    dlerror()));
  }
  const auto find = [&](const char* symbol) {
    void* function = dlsym(library, symbol);
    if (function == nullptr) {
      throw Error(ErrorCode::kDriver,
                  fmt::format("{} has no {}; AllNorm needs a driver for CUDA 12.4 or newer", driver->path, symbol));
    }
    return function;
  };
#define ALLNORM_LOAD(name, symbol) driver->name = reinterpret_cast<decltype(driver->name)>(find(#symbol));
  ALLNORM_DRIVER_FUNCTIONS(ALLNORM_LOAD)
#undef ALLNORM_LOAD
  driver->check(driver->cuInit(0), "cuInit");
  driver->check(driver->cuDriverGetVersion(&driver->version), "cuDriverGetVersion");
  if (driver->version < kOldestVersion) {
    throw Error(ErrorCode::kDriver, fmt::format("the driver supports CUDA {}.{}; AllNorm needs 12.4 or newer",
                                                driver->version / 1000, driver->version % 1000 / 10));
  }
  return driver;
}

namespace {

struct ErrorText {
  ErrorText(const Driver& driver, CUresult result) {
    driver.cuGetErrorName(result, &name);
    driver.cuGetErrorString(result, &text);
  }
  const char* name = "unknown error";
  const char* text = "";
};

}  // namespace

void Driver::warn(CUresult result, const char* what) const noexcept {
  if (result == CUDA_SUCCESS || result == CUDA_ERROR_DEINITIALIZED) return;
  const ErrorText error(*this, result);
  log::warn("{} failed: {} ({}); something may not have been given back", what, error.name, error.text);
}

void Driver::check(CUresult result, const char* what) const {
  if (result == CUDA_SUCCESS) return;
  const auto [name, text] = ErrorText(*this, result);
  throw Error(ErrorCode::kDriver, fmt::format("{} failed: {} ({}){}", what, name, text, advice(result)));
}

}  // namespace allnorm::cuda
