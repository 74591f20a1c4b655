// KernelCompiler: Spec -> binary, through the disk cache or NVRTC.
//
// NVRTC is loaded when the first kernel must really be compiled: a process whose kernels are all in the cache does not
// need it. Any thread; two threads that ask for one Spec at once may both compile it (the PlanStore above prevents it).
#ifndef ALLNORM_JIT_COMPILER_H_
#define ALLNORM_JIT_COMPILER_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "allnorm/context.h"
#include "cache/key.h"
#include "cache/store.h"
#include "dispatch/spec.h"
#include "env/env.h"
#include "jit/kernel_sources.h"
#include "jit/nvrtc.h"

namespace allnorm {

struct CompiledKernel {
  std::vector<std::byte> binary;
  std::string entry_name;
  bool from_disk_cache = false;
  double seconds = 0.0;  ///< In the compiler; 0 from the cache.
};

class KernelCompiler {
 public:
  /// `cache_directory` overrides the environment's; the cache is off if both are empty or the environment says so.
  KernelCompiler(const Env& env, const std::string& cache_directory);

  /// Throws kInvalidArgument (no such kernel), kCompiler.
  CompiledKernel compile(const Spec& spec);
  /// The same without looking at the disk; what is there is replaced.
  CompiledKernel compile_anew(const Spec& spec);

  /// What names a kernel on disk: everything that decides its bytes. The NVRTC version is provenance, not key.
  cache::Key key(const Spec& spec) const;

  const KernelSources& sources() const noexcept { return sources_; }
  /// Loads it if need be. Throws kCompiler.
  const Nvrtc& nvrtc();
  const cache::Store* store() const noexcept { return store_ ? &*store_ : nullptr; }
  /// compiled, disk_hits and compile_seconds.
  ContextStatistics statistics() const;

 private:
  std::optional<CompiledKernel> find_on_disk(const Spec& spec, const cache::Key& key);
  void keep_on_disk(const Spec& spec, const cache::Key& key, const CompiledKernel& kernel);

  Env env_;
  KernelSources sources_;
  std::optional<cache::Store> store_;
  std::once_flag nvrtc_once_;
  std::shared_ptr<const Nvrtc> nvrtc_;
  std::atomic<std::uint64_t> compiled_ = 0;
  std::atomic<std::uint64_t> disk_hits_ = 0;
  std::atomic<std::uint64_t> compile_microseconds_ = 0;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_COMPILER_H_
