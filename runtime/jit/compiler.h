// KernelCompiler: Spec -> binary, through prebuilt kernels, the disk cache, or NVRTC and, for the target `host`, the
// system's C++ compiler.
//
// NVRTC is loaded when the first kernel must really be compiled: a process whose kernels are all in the cache does not
// need it. The C++ compiler is looked for when a kernel for `host` is asked for that is not prebuilt. Of the threads
// and processes that ask for one Spec at once, one compiles it, as far as locks go. A kernel that a compiler has
// rejected is not tried again. Any thread.
#ifndef ALLNORM_JIT_COMPILER_H_
#define ALLNORM_JIT_COMPILER_H_

#include <atomic>
#include <chrono>
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
#include "cache/cache.h"
#include "cache/entry.h"
#include "cache/key.h"
#include "dispatch/spec.h"
#include "env/env.h"
#include "jit/host_compiler.h"
#include "jit/kernel_rejected.h"
#include "jit/kernel_sources.h"
#include "jit/nvrtc.h"
#include "jit/spec_recorder.h"

namespace allnorm {

struct CompiledKernel {
  std::vector<std::byte> binary;
  std::string entry_name;
  bool from_disk_cache = false;  ///< Or from a prebuilt directory.
  double seconds = 0.0;          ///< In the compiler; 0 from the cache.
  bool prebuilt = false;
  std::size_t next_place = 0;  ///< If prebuilt: where another would be looked for; the program's own are place 0.
};

/// A kernel that came with the program. Points to what the program holds.
struct PrebuiltKernel {
  std::string_view key_hex;  ///< KernelCompiler::prebuilt_key() of its Spec, where it was built.
  std::string_view entry_name;
  std::span<const std::byte> binary;
};

class KernelCompiler {
 public:
  /// With the cache that the environment says. `files` outlives this object.
  explicit KernelCompiler(const Env& env, cache::FileSystem& files = cache::FileSystem::real());

  /// Throws kInvalidArgument (no such kernel), kCompiler, kCacheMiss.
  CompiledKernel compile(const Spec& spec);
  /// The same, or nothing if somebody else compiles it just now.
  std::optional<CompiledKernel> compile_unless_busy(const Spec& spec);
  /// The same without looking at prebuilt kernels or the disk; what is there is replaced.
  CompiledKernel compile_anew(const Spec& spec);

  /// For a kept kernel that compile() gave and that does not load: what the next place has, or else a new one. Throws
  /// what compile() does.
  CompiledKernel compile_instead_of(const CompiledKernel& unusable, const Spec& spec, const std::string& why);

  /// What names a kernel on disk: everything that decides its bytes, for `host` the compiler too. The NVRTC version is
  /// provenance, not key. Throws kCompiler if the Spec is for `host` and there is no compiler.
  cache::Key key(const Spec& spec);

  /// Kernels to look up before all else, whose text and bytes outlive this object. Before the first compile().
  void add_prebuilt(std::span<const PrebuiltKernel> kernels);
  /// The key without the compiler, in hexadecimal: the machine that runs the kernel may have none.
  std::string prebuilt_key(const Spec& spec) const { return key_without_compiler(spec).hex; }
  cache::Key key_without_compiler(const Spec& spec) const { return key_of(spec).finish(); }
  /// What a prebuilt directory keeps of a kernel that was compiled here.
  cache::Entry prebuilt_entry(const Spec& spec, const CompiledKernel& kernel);

  const KernelSources& sources() const noexcept { return sources_; }
  /// Loads it if need be. Throws kCompiler.
  const Nvrtc& nvrtc();
  /// Looks for it if need be. Throws kCompiler.
  const HostCompiler& host_compiler();
  const cache::Cache& cache() const noexcept { return cache_; }
  /// compiled, disk_hits and compile_seconds.
  ContextStatistics statistics() const;

 private:
  std::optional<CompiledKernel> compile_within(const Spec& spec, std::chrono::milliseconds limit);
  cache::KeyBuilder key_of(const Spec& spec) const;
  std::vector<std::byte> run_nvrtc(const Spec& spec, const std::string& key, const std::string& source);
  std::vector<std::byte> run_host_compiler(const Spec& spec, const std::string& key, const std::string& source);
  std::optional<CompiledKernel> find_prebuilt(const Spec& spec, std::size_t first_place = 0);
  std::optional<CompiledKernel> find_own(const Spec& spec);
  std::optional<CompiledKernel> find_own_if_known(const Spec& spec);
  CompiledKernel hit(cache::Entry entry);
  [[noreturn]] void refuse_to_compile(const Spec& spec) const;
  void check_not_rejected(const Spec& spec);
  cache::Entry entry_of(const Spec& spec, const cache::Key& key, const CompiledKernel& kernel);
  void keep_on_disk(const Spec& spec, const cache::Key& key, const CompiledKernel& kernel);

  Env env_;
  KernelSources sources_;
  cache::Cache cache_;
  SpecRecorder recorder_;
  std::mutex rejected_mutex_;
  std::unordered_map<Spec, KernelRejected, SpecHash> rejected_;
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
