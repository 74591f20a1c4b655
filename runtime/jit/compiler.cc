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

cache::Key KernelCompiler::key(const Spec& spec) const {
  return cache::KeyBuilder()
      .add("schema", kKeySchema)
      .add("library", ALLNORM_VERSION_STRING)
      .add("target", to_string(spec.target))
      .add("options", fmt::format("{}", fmt::join(compile_options(spec.target), " ")))
      .add("sources", sources_.digest())
      .add("spec", describe(spec))
      .finish();
}

const Nvrtc& KernelCompiler::nvrtc() {
  std::call_once(nvrtc_once_, [this] { nvrtc_ = Nvrtc::load(env_.nvrtc_path); });
  return *nvrtc_;
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
    if (auto found = find_on_disk(spec, key(spec))) return std::move(*found);
  }
  return compile_anew(spec);
}

CompiledKernel KernelCompiler::compile_anew(const Spec& spec) {
  check_spec(spec);
  const cache::Key cache_key = key(spec);
  const std::string source = specialized_source(spec);
  const auto begin = std::chrono::steady_clock::now();
  Nvrtc::Result result = nvrtc().compile(source, fmt::format("allnorm_{}.cu", cache_key.hex.substr(0, 16)),
                                         sources_.files(), compile_options(spec.target), env_.dump.ptx);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  compiled_++;
  compile_microseconds_ += static_cast<std::uint64_t>(elapsed.count() * 1e6);
  log::debug("compiled {} in {:.0f} ms", describe(spec), elapsed.count() * 1e3);
  if (env_.dump.any()) dump_compilation(env_, cache_key.hex, source, result);
  CompiledKernel kernel{std::move(result.cubin), kernel_name(spec.strategy), false, elapsed.count()};
  keep_on_disk(spec, cache_key, kernel);
  return kernel;
}

std::optional<CompiledKernel> KernelCompiler::find_on_disk(const Spec& spec, const cache::Key& key) {
  if (!store_) return std::nullopt;
  std::string reason;
  const auto entry = store_->get(to_string(spec.target), key.hex, reason);
  if (!reason.empty()) log::warn("cache: {}", reason);
  if (!entry) return std::nullopt;
  disk_hits_++;
  const auto* bytes = reinterpret_cast<const std::byte*>(entry->payload.data());
  return CompiledKernel{{bytes, bytes + entry->payload.size()}, entry->kernel_name, true, 0.0};
}

void KernelCompiler::keep_on_disk(const Spec& spec, const cache::Key& key, const CompiledKernel& kernel) {
  if (!store_) return;
  nlohmann::json provenance;
  for (const auto& [name, value] : key.fields) provenance["key"][name] = value;
  provenance["nvrtc"] = nvrtc().version();
  provenance["compile_seconds"] = kernel.seconds;
  const cache::Entry entry{key.hex,
                           kernel.entry_name,
                           provenance.dump(),
                           {reinterpret_cast<const char*>(kernel.binary.data()), kernel.binary.size()}};
  std::string reason;
  if (!store_->put(to_string(spec.target), entry, reason)) log::warn("cache: {}", reason);
}

}  // namespace allnorm
