#include "gpu/auxiliary.h"

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "allnorm/error.h"
#include "gpu/auxiliary_source.h"
#include "jit/embedded.h"
#include "jit/nvrtc.h"
#include "jit/specialize.h"

namespace allnorm::gpu_tests {
namespace {

std::string embedded_text(std::string_view name) {
  for (const EmbeddedFile& file : embedded_kernel_sources()) {
    if (file.name == name) return std::string(file.text);
  }
  throw Error(ErrorCode::kCompiler, "no embedded file " + std::string(name));
}

/// One text without includes, so that it does not matter which headers the compiler is given.
std::string auxiliary_text() {
  std::string device_ops = embedded_text("device_ops_cuda.cuh");
  const std::string include = "#include \"number_formats.cuh\"";
  device_ops.replace(device_ops.find(include), include.size(), embedded_text("number_formats.cuh"));
  return device_ops + kAuxiliarySource;
}

std::vector<std::byte> compile(Target target) {
  const char* const path = std::getenv("ALLNORM_NVRTC");
  const auto nvrtc = Nvrtc::load(path == nullptr ? "" : path);
  return nvrtc->compile(auxiliary_text(), "allnorm_gpu_tests.cu", {}, compile_options(target)).cubin;
}

}  // namespace

std::uint64_t digest_of(std::span<const std::uint8_t> bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::uint32_t word = 0;
    for (std::size_t j = i; j < i + 4 && j < bytes.size(); ++j) {
      word |= static_cast<std::uint32_t>(bytes[j]) << (j % 4 * 8);
    }
    sum += digest_term(i / 4, word);
  }
  return sum;
}

// The module stays loaded until the process ends.
AuxiliaryKernels::AuxiliaryKernels(const cuda::CudaDevice& device) {
  const cuda::Driver& driver = device.driver();
  const cuda::CurrentContext current(driver, device.context());
  const std::vector<std::byte> binary = compile(device.target());
  CUmodule module = nullptr;
  driver.check(driver.cuModuleLoadData(&module, binary.data()), "cuModuleLoadData");
  const std::pair<const char*, CUfunction*> functions[] = {{"fill", &fill},
                                                           {"digest", &digest},
                                                           {"compare", &compare},
                                                           {"check_conversions", &check_conversions},
                                                           {"check_sums", &check_sums},
                                                           {"check_rsqrt", &check_rsqrt},
                                                           {"digest_conversions", &digest_conversions}};
  for (const auto& [name, function] : functions) {
    driver.check(driver.cuModuleGetFunction(function, module, name), name);
    driver.check(driver.cuFuncLoad(*function), name);
  }
}

}  // namespace allnorm::gpu_tests
