// KernelCompiler: Spec -> binary, through prebuilt kernels, the disk cache, or NVRTC and, for the target `host`, the
// system's C++ compiler.
//
// NVRTC is loaded when the first kernel must really be compiled: a process whose kernels are all in the cache does not
// need it. The C++ compiler is looked for when a kernel for `host` is asked for that is not prebuilt. Any thread; two
// threads that ask for one Spec at once may both compile it (the PlanStore above prevents it).
#ifndef ALLNORM_JIT_COMPILER_H_
#define ALLNORM_JIT_COMPILER_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "allnorm/context.h"
#include "cache/key.h"
#include "cache/store.h"
#include "dispatch/spec.h"
#include "env/env.h"
#include "jit/host_compiler.h"
#include "jit/kernel_sources.h"
#include "jit/nvrtc.h"

namespace allnorm {

struct CompiledKernel {
  std::vector<std::byte> binary;
  std::string entry_name;
  bool from_disk_cache = false;
  double seconds = 0.0;  ///< In the compiler; 0 from the cache.
  bool prebuilt = false;
};

/// A kernel that came with the program. Points to what the program holds.
struct PrebuiltKernel {
  std::string_view key_hex;  ///< KernelCompiler::prebuilt_key() of its Spec, where it was built.
  std::string_view entry_name;
  std::span<const std::byte> binary;
};

class KernelCompiler {
 public:
  /// `cache_directory` overrides the environment's; the cache is off if both are empty or the environment says so.
  KernelCompiler(const Env& env, const std::string& cache_directory);

  /// Throws kInvalidArgument (no such kernel), kCompiler.
  CompiledKernel compile(const Spec& spec);
  /// The same without looking at prebuilt kernels or the disk; what is there is replaced.
  CompiledKernel compile_anew(const Spec& spec);

  /// What names a kernel on disk: everything that decides its bytes, for `host` the compiler too. The NVRTC version is
  /// provenance, not key. Throws kCompiler if the Spec is for `host` and there is no compiler.
  cache::Key key(const Spec& spec);

  /// Kernels to look up before all else, whose text and bytes outlive this object. Before the first compile().
  void add_prebuilt(std::span<const PrebuiltKernel> kernels);
  /// The key without the compiler, in hexadecimal: the machine that runs the kernel may have none.
  std::string prebuilt_key(const Spec& spec) const;

  const KernelSources& sources() const noexcept { return sources_; }
  /// Loads it if need be. Throws kCompiler.
  const Nvrtc& nvrtc();
  /// Looks for it if need be. Throws kCompiler.
  const HostCompiler& host_compiler();
  const cache::Store* store() const noexcept { return store_ ? &*store_ : nullptr; }
  /// compiled, disk_hits and compile_seconds.
  ContextStatistics statistics() const;

 private:
  cache::KeyBuilder key_of(const Spec& spec) const;
  std::vector<std::byte> run_nvrtc(const Spec& spec, const std::string& key, const std::string& source);
  std::vector<std::byte> run_host_compiler(const Spec& spec, const std::string& key, const std::string& source);
  std::optional<CompiledKernel> find_prebuilt(const Spec& spec) const;
  std::optional<CompiledKernel> find_on_disk(const Spec& spec, const cache::Key& key);
  void keep_on_disk(const Spec& spec, const cache::Key& key, const CompiledKernel& kernel);

  Env env_;
  KernelSources sources_;
  std::optional<cache::Store> store_;
  std::mutex tools_mutex_;  // not a once_flag: ThreadSanitizer hangs where what it calls throws
  std::shared_ptr<const Nvrtc> nvrtc_;
  std::shared_ptr<const HostCompiler> host_compiler_;
  std::unordered_map<std::string, PrebuiltKernel> prebuilt_;
  std::atomic<std::uint64_t> compiled_ = 0;
  std::atomic<std::uint64_t> disk_hits_ = 0;
  std::atomic<std::uint64_t> compile_microseconds_ = 0;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_COMPILER_H_
