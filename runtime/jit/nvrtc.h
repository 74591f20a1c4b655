// NVRTC, loaded with dlopen: CUDA C++ in, a cubin for a real architecture out, without a GPU if need be.
//
// Immutable once loaded; compile() may run in several threads at once.
#ifndef ALLNORM_JIT_NVRTC_H_
#define ALLNORM_JIT_NVRTC_H_

#include <nvrtc.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "jit/embedded.h"

namespace allnorm {

class Nvrtc {
 public:
  /// What a compilation gave. `ptx` is filled only if it was asked for.
  struct Result {
    std::vector<std::byte> cubin;
    std::string log;
    std::string ptx;
  };

  /// `path` empty: libnvrtc.so.13, then .12, as the dynamic loader finds them, then the usual place of the toolkit.
  /// Throws kCompiler if there is none.
  static std::shared_ptr<const Nvrtc> load(const std::string& path);

  /// "13.0". sm_100a and sm_120a need 12.8, sm_103a needs 12.9.
  std::string version() const;
  /// What dlopen was given.
  const std::string& path() const noexcept { return path_; }

  /// Throws kCompiler with the compiler's log. `headers` are what #include finds; nothing else is on its path.
  Result compile(const std::string& source, const std::string& name, std::span<const EmbeddedFile> headers,
                 const std::vector<std::string>& options, bool want_ptx = false) const;

 private:
  int version_number() const;  ///< 1209 for 12.9
  void check(nvrtcResult result, const char* what) const;

  std::string path_;
  decltype(&::nvrtcVersion) version_ = nullptr;
  decltype(&::nvrtcGetErrorString) get_error_string_ = nullptr;
  decltype(&::nvrtcCreateProgram) create_program_ = nullptr;
  decltype(&::nvrtcDestroyProgram) destroy_program_ = nullptr;
  decltype(&::nvrtcCompileProgram) compile_program_ = nullptr;
  decltype(&::nvrtcGetProgramLogSize) get_log_size_ = nullptr;
  decltype(&::nvrtcGetProgramLog) get_log_ = nullptr;
  decltype(&::nvrtcGetCUBINSize) get_cubin_size_ = nullptr;
  decltype(&::nvrtcGetCUBIN) get_cubin_ = nullptr;
  decltype(&::nvrtcGetPTXSize) get_ptx_size_ = nullptr;
  decltype(&::nvrtcGetPTX) get_ptx_ = nullptr;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_NVRTC_H_
