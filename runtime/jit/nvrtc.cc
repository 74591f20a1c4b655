#include "jit/nvrtc.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>

#include "allnorm/error.h"
#include "jit/kernel_rejected.h"

namespace allnorm {
namespace {

constexpr std::array kUsualPaths = {"libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so.13",
                                    "/usr/local/cuda/lib64/libnvrtc.so.12"};

constexpr int kFirstWithCache = 1209;
constexpr int kFirstWithMinimal = 1204;

void* open_library(const std::string& path, std::string& opened) {
  if (!path.empty()) {
    opened = path;
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    throw Error(ErrorCode::kCompiler, fmt::format("NVRTC could not be loaded from ALLNORM_NVRTC: {}", dlerror()));
  }
  for (const char* usual : kUsualPaths) {
    opened = usual;
    if (void* library = dlopen(usual, RTLD_NOW | RTLD_LOCAL)) return library;
  }
  throw Error(
      ErrorCode::kCompiler,
      fmt::format("a kernel must be compiled and NVRTC was not found (tried {}); install the CUDA toolkit or the "
                  "pip package nvidia-cuda-nvrtc, or name the library in ALLNORM_NVRTC",
                  fmt::join(kUsualPaths, ", ")));
}

// NVRTC opens its builtins by their bare name. Where it lies outside the dynamic linker's paths (a pip package), they
// are only found because they are loaded already. Failing is no error yet: NVRTC then says itself what it misses.
void load_builtins_beside(const void* nvrtc_symbol, const std::string& version) {
  Dl_info info{};
  if (dladdr(nvrtc_symbol, &info) == 0) return;
  const std::string library = info.dli_fname;
  const std::string folder = library.substr(0, library.rfind('/') + 1);
  dlopen(fmt::format("{}libnvrtc-builtins.so.{}", folder, version).c_str(), RTLD_NOW | RTLD_LOCAL);
}

}  // namespace

std::shared_ptr<const Nvrtc> Nvrtc::load(const std::string& path) {
  auto nvrtc = std::make_shared<Nvrtc>();
  void* library = open_library(path, nvrtc->path_);
  const auto find = [&]<typename Function>(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(dlsym(library, symbol));
    if (function == nullptr) {
      throw Error(ErrorCode::kCompiler,
                  fmt::format("{} has no {}; AllNorm needs NVRTC 12 or newer", nvrtc->path_, symbol));
    }
  };
  find(nvrtc->version_, "nvrtcVersion");
  find(nvrtc->get_error_string_, "nvrtcGetErrorString");
  find(nvrtc->create_program_, "nvrtcCreateProgram");
  find(nvrtc->destroy_program_, "nvrtcDestroyProgram");
  find(nvrtc->compile_program_, "nvrtcCompileProgram");
  find(nvrtc->get_log_size_, "nvrtcGetProgramLogSize");
  find(nvrtc->get_log_, "nvrtcGetProgramLog");
  find(nvrtc->get_cubin_size_, "nvrtcGetCUBINSize");
  find(nvrtc->get_cubin_, "nvrtcGetCUBIN");
  find(nvrtc->get_ptx_size_, "nvrtcGetPTXSize");
  find(nvrtc->get_ptx_, "nvrtcGetPTX");
  load_builtins_beside(dlsym(library, "nvrtcVersion"), nvrtc->version());
  return nvrtc;
}

int Nvrtc::version_number() const {
  int major = 0;
  int minor = 0;
  check(version_(&major, &minor), "nvrtcVersion");
  return major * 100 + minor;
}

std::string Nvrtc::version() const { return fmt::format("{}.{}", version_number() / 100, version_number() % 100); }

void Nvrtc::check(nvrtcResult result, const char* what) const {
  if (result == NVRTC_SUCCESS) return;
  throw Error(ErrorCode::kCompiler, fmt::format("{} failed: {}", what, get_error_string_(result)));
}

Nvrtc::Result Nvrtc::compile(const std::string& source, const std::string& name, std::span<const EmbeddedFile> headers,
                             const std::vector<std::string>& options, bool want_ptx) const {
  std::vector<std::string> texts;  // NVRTC wants zero-terminated text
  std::vector<std::string> names;
  for (const EmbeddedFile& header : headers) {
    texts.emplace_back(header.text);
    names.emplace_back(header.name);
  }
  std::vector<const char*> text_pointers;
  std::vector<const char*> name_pointers;
  for (std::size_t i = 0; i < texts.size(); i++) {
    text_pointers.push_back(texts[i].c_str());
    name_pointers.push_back(names[i].c_str());
  }
  std::vector<const char*> option_pointers;
  for (const std::string& option : options) option_pointers.push_back(option.c_str());
  // Its own cache would only double ours. It came with this version, and older ones refuse the option.
  if (version_number() >= kFirstWithCache) option_pointers.push_back("--no-cache");
  // Without declarations that no kernel uses, 10 ms less.
  if (version_number() >= kFirstWithMinimal) option_pointers.push_back("--minimal");

  nvrtcProgram program = nullptr;
  check(create_program_(&program, source.c_str(), name.c_str(), static_cast<int>(texts.size()), text_pointers.data(),
                        name_pointers.data()),
        "nvrtcCreateProgram");
  const auto destroy = [this](nvrtcProgram* p) { destroy_program_(p); };
  const std::unique_ptr<nvrtcProgram, decltype(destroy)> guard(&program, destroy);

  Result result;
  const nvrtcResult compiled =
      compile_program_(program, static_cast<int>(option_pointers.size()), option_pointers.data());
  std::size_t size = 0;
  if (get_log_size_(program, &size) == NVRTC_SUCCESS && size > 1) {
    result.log.resize(size);
    check(get_log_(program, result.log.data()), "nvrtcGetProgramLog");
    result.log.pop_back();  // the terminating zero
  }
  if (compiled != NVRTC_SUCCESS) {
    const std::string message =
        fmt::format("NVRTC {} cannot compile {}: {}\n{}", version(), name, get_error_string_(compiled), result.log);
    if (compiled == NVRTC_ERROR_COMPILATION) throw KernelRejected(message);
    throw Error(ErrorCode::kCompiler, message);
  }
  check(get_cubin_size_(program, &size), "nvrtcGetCUBINSize");
  result.cubin.resize(size);
  check(get_cubin_(program, reinterpret_cast<char*>(result.cubin.data())), "nvrtcGetCUBIN");
  if (want_ptx) {
    check(get_ptx_size_(program, &size), "nvrtcGetPTXSize");
    result.ptx.resize(size);
    check(get_ptx_(program, result.ptx.data()), "nvrtcGetPTX");
    result.ptx.pop_back();
  }
  return result;
}

}  // namespace allnorm
