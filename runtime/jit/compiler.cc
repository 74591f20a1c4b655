#include "jit/compiler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "allnorm/error.h"
#include "allnorm/version.h"
#include "env/log.h"
#include "jit/dump.h"
#include "jit/specialize.h"

namespace allnorm {
namespace {

constexpr int kKeySchema = 1;

}  // namespace

KernelCompiler::KernelCompiler(const Env& env, const std::string& cache_directory)
    : env_(env), sources_(env.kernel_dir) {
  const bool off = !env_.cache_enabled && !env_.cache_dir.empty();  // ALLNORM_CACHE=off, not just no place for it
  if (!cache_directory.empty() && !off) {
    if (cache_directory.front() != '/') {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("ContextOptions::cache_directory: {} was given; an absolute path is needed", cache_directory));
    }
    store_.emplace(cache_directory);
  } else if (env_.cache_enabled) {
    store_.emplace(env_.cache_dir);
  } else {
    log::info("compiled kernels are not kept: {}", env_.cache_off_reason);
  }
}

cache::KeyBuilder KernelCompiler::key_of(const Spec& spec) const {
  cache::KeyBuilder key;
  key.add("schema", kKeySchema)
      .add("library", ALLNORM_VERSION_STRING)
      .add("target", to_string(spec.target))
      .add("options", fmt::format("{}", fmt::join(compile_options(spec.target), " ")))
      .add("sources", sources_.digest())
      .add("spec", describe(spec));
  return key;
}

cache::Key KernelCompiler::key(const Spec& spec) {
  cache::KeyBuilder key = key_of(spec);
  // NVRTC gives the same kernel in any version that takes the options; of the compilers of a system nobody knows.
  if (spec.target == Target::kHost) key.add("compiler", host_compiler().identity());
  return key.finish();
}

std::string KernelCompiler::prebuilt_key(const Spec& spec) const { return key_of(spec).finish().hex; }

const Nvrtc& KernelCompiler::nvrtc() {
  const std::lock_guard lock(tools_mutex_);
  if (!nvrtc_) nvrtc_ = Nvrtc::load(env_.nvrtc_path);
  return *nvrtc_;
}

const HostCompiler& KernelCompiler::host_compiler() {
  const std::lock_guard lock(tools_mutex_);
  if (!host_compiler_) host_compiler_ = HostCompiler::find(env_);
  return *host_compiler_;
}

void KernelCompiler::add_prebuilt(std::span<const PrebuiltKernel> kernels) {
  for (const PrebuiltKernel& kernel : kernels) prebuilt_.insert_or_assign(std::string(kernel.key_hex), kernel);
}

ContextStatistics KernelCompiler::statistics() const {
  ContextStatistics statistics;
  statistics.compiled = compiled_;
  statistics.disk_hits = disk_hits_;
  statistics.compile_seconds = static_cast<double>(compile_microseconds_) * 1e-6;
  return statistics;
}

CompiledKernel KernelCompiler::compile(const Spec& spec) {
  check_spec(spec);
  // Who asks for a dump wants the compiler to run.
  if (!env_.dump.any()) {
    if (auto found = find_prebuilt(spec)) return std::move(*found);
    if (auto found = find_on_disk(spec, key(spec))) return std::move(*found);
  }
  return compile_anew(spec);
}

CompiledKernel KernelCompiler::compile_anew(const Spec& spec) {
  check_spec(spec);
  const cache::Key cache_key = key(spec);
  const std::string source = specialized_source(spec);
  const auto begin = std::chrono::steady_clock::now();
  CompiledKernel kernel;
  kernel.entry_name = kernel_name(spec.strategy);
  kernel.binary = spec.target == Target::kHost ? run_host_compiler(spec, cache_key.hex, source)
                                               : run_nvrtc(spec, cache_key.hex, source);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  kernel.seconds = elapsed.count();
  compiled_++;
  compile_microseconds_ += static_cast<std::uint64_t>(elapsed.count() * 1e6);
  log::debug("compiled {} in {:.0f} ms", describe(spec), elapsed.count() * 1e3);
  keep_on_disk(spec, cache_key, kernel);
  return kernel;
}

std::vector<std::byte> KernelCompiler::run_nvrtc(const Spec& spec, const std::string& key, const std::string& source) {
  Nvrtc::Result result = nvrtc().compile(source, fmt::format("allnorm_{}.cu", key.substr(0, 16)), sources_.files(),
                                         compile_options(spec.target), env_.dump.ptx);
  if (env_.dump.any()) dump_compilation(env_, key, source, result);
  return std::move(result.cubin);
}

std::vector<std::byte> KernelCompiler::run_host_compiler(const Spec& spec, const std::string& key,
                                                         const std::string& source) {
  HostCompiler::Result result = host_compiler().compile(source, fmt::format("allnorm_{}.cc", key.substr(0, 16)),
                                                        sources_.files(), compile_options(spec.target));
  if (env_.dump.any()) dump_compilation(env_, key, source, result);
  return std::move(result.library);
}

std::optional<CompiledKernel> KernelCompiler::find_prebuilt(const Spec& spec) const {
  if (prebuilt_.empty()) return std::nullopt;
  const auto found = prebuilt_.find(prebuilt_key(spec));
  if (found == prebuilt_.end()) return std::nullopt;
  const PrebuiltKernel& kernel = found->second;
  return CompiledKernel{{kernel.binary.begin(), kernel.binary.end()}, std::string(kernel.entry_name), false, 0.0, true};
}

std::optional<CompiledKernel> KernelCompiler::find_on_disk(const Spec& spec, const cache::Key& key) {
  if (!store_) return std::nullopt;
  std::string reason;
  const auto entry = store_->get(to_string(spec.target), key.hex, reason);
  if (!reason.empty()) log::warn("cache: {}", reason);
  if (!entry) return std::nullopt;
  disk_hits_++;
  const auto* bytes = reinterpret_cast<const std::byte*>(entry->payload.data());
  return CompiledKernel{{bytes, bytes + entry->payload.size()}, entry->kernel_name, true};
}

void KernelCompiler::keep_on_disk(const Spec& spec, const cache::Key& key, const CompiledKernel& kernel) {
  if (!store_) return;
  nlohmann::json provenance;
  for (const auto& [name, value] : key.fields) provenance["key"][name] = value;
  if (spec.target == Target::kHost) {
    provenance["compiler"] = host_compiler().path();
  } else {
    provenance["nvrtc"] = nvrtc().version();
  }
  provenance["compile_seconds"] = kernel.seconds;
  const cache::Entry entry{key.hex,
                           kernel.entry_name,
                           provenance.dump(),
                           {reinterpret_cast<const char*>(kernel.binary.data()), kernel.binary.size()}};
  std::string reason;
  if (!store_->put(to_string(spec.target), entry, reason)) log::warn("cache: {}", reason);
}

}  // namespace allnorm
