#include "jit/compiler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "allnorm/error.h"
#include "allnorm/version.h"
#include "dispatch/spec_text.h"
#include "env/log.h"
#include "jit/cubin_info.h"
#include "jit/dump.h"
#include "jit/specialize.h"

namespace allnorm {
namespace {

constexpr int kKeySchema = 1;

/// Somebody who compiles a kernel takes a second at most, but may have stopped.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::seconds(10);

void warn(const std::string& reason) { log::warn("cache: {}", reason); }

}  // namespace

KernelCompiler::KernelCompiler(const Env& env, cache::FileSystem& files)
    : env_(env), sources_(env.kernel_dir), cache_(env.cache, warn, files), recorder_(env.record_specs, files) {
  if (const std::string why = Env::why_not_kept(env_.cache); !why.empty()) {
    log::info("compiled kernels are not kept: {}", why);
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
  if (auto kernel = compile_within(spec, kLongestWait)) return *std::move(kernel);
  return compile_anew(spec);
}

std::optional<CompiledKernel> KernelCompiler::compile_unless_busy(const Spec& spec) {
  return compile_within(spec, std::chrono::milliseconds(0));
}

std::optional<CompiledKernel> KernelCompiler::compile_within(const Spec& spec, std::chrono::milliseconds limit) {
  check_spec(spec);
  recorder_.record(spec);
  const bool may_compile = cache_.mode() != cache::Mode::kRequireHit;
  // Who asks for a dump wants the compiler to run.
  if (env_.dump.any() && may_compile) return compile_anew(spec);
  if (auto found = find_prebuilt(spec)) return found;
  if (!may_compile) {
    if (auto found = find_own_if_known(spec)) return found;
    refuse_to_compile(spec);
  }
  check_not_rejected(spec);
  if (cache_.store() == nullptr) return compile_anew(spec);
  if (auto found = find_own(spec)) return found;
  const cache::SingleFlight::Turn turn = cache_.enter(key(spec).hex, limit);
  if (turn.state() == cache::SingleFlight::Turn::State::kBusy && limit.count() == 0) return std::nullopt;
  // Whoever had the turn before us may have compiled it.
  if (auto found = find_own(spec)) return found;
  return compile_anew(spec);
}

CompiledKernel KernelCompiler::compile_instead_of(const CompiledKernel& unusable, const Spec& spec,
                                                  const std::string& why) {
  if (unusable.prebuilt) {
    if (auto found = find_prebuilt(spec, unusable.next_place)) return *found;
    if (auto found = find_own_if_known(spec)) return *found;
  }
  if (cache_.mode() == cache::Mode::kRequireHit) {
    throw Error(ErrorCode::kCacheMiss,
                fmt::format("a kernel that was compiled before does not load ({}), and the mode require-hit forbids to "
                            "compile another: {}. Either the driver is too old for it, or the GPU has no room",
                            why, describe(spec)));
  }
  return compile_anew(spec);
}

void KernelCompiler::refuse_to_compile(const Spec& spec) const {
  const cache::CacheOptions& options = cache_.options();
  std::vector<std::string> places = options.prebuilt_directories;
  if (!options.directory.empty()) places.push_back(options.directory);
  throw Error(ErrorCode::kCacheMiss,
              fmt::format("a kernel is not in the cache, and the mode require-hit forbids to compile it: {}. Looked "
                          "into: {}. This makes it: ALLNORM_CACHE=normal {}",
                          describe(spec), fmt::join(places, ", "), warm_command(spec)));
}

void KernelCompiler::check_not_rejected(const Spec& spec) {
  const std::lock_guard lock(rejected_mutex_);
  if (const auto found = rejected_.find(spec); found != rejected_.end()) throw found->second;
}

CompiledKernel KernelCompiler::compile_anew(const Spec& spec) {
  check_spec(spec);
  if (cache_.mode() == cache::Mode::kRequireHit) refuse_to_compile(spec);
  check_not_rejected(spec);
  const cache::Key cache_key = key(spec);
  const std::string source = specialized_source(spec);
  const auto begin = std::chrono::steady_clock::now();
  CompiledKernel kernel;
  kernel.entry_name = kernel_name(spec);
  try {
    kernel.binary = spec.target == Target::kHost ? run_host_compiler(spec, cache_key.hex, source)
                                                 : run_nvrtc(spec, cache_key.hex, source);
  } catch (const KernelRejected& rejected) {
    const std::lock_guard lock(rejected_mutex_);
    rejected_.emplace(spec, rejected);
    throw;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  kernel.seconds = elapsed.count();
  compiled_++;
  compile_microseconds_ += static_cast<std::uint64_t>(elapsed.count() * 1e6);
  log::debug("compiled {} in {:.0f} ms", describe(spec), elapsed.count() * 1e3);
  keep_on_disk(spec, cache_key, kernel);
  return kernel;
}

std::vector<std::byte> KernelCompiler::run_nvrtc(const Spec& spec, const std::string& key, const std::string& source) {
  const auto compile = [&](const std::vector<std::string>& options) {
    return nvrtc().compile(source, fmt::format("allnorm_{}.cu", key.substr(0, 16)), sources_.files(), options,
                           env_.dump.ptx);
  };
  std::vector<std::string> options = compile_options(spec.target);
  Nvrtc::Result result = compile(options);
  // What just fits into its registers with one NVRTC may not with another.
  if (read_cubin(result.cubin).stack_bytes.value_or(0) > 0) {
    options.emplace_back("-DALLNORM_NO_LEAN_KERNELS");
    result = compile(options);
  }
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

std::optional<CompiledKernel> KernelCompiler::find_prebuilt(const Spec& spec, std::size_t first_place) {
  if (prebuilt_.empty() && !cache_.has_prebuilt()) return std::nullopt;
  const std::string key = prebuilt_key(spec);
  if (first_place == 0) {
    if (const auto found = prebuilt_.find(key); found != prebuilt_.end()) {
      const PrebuiltKernel& kernel = found->second;
      return CompiledKernel{
          {kernel.binary.begin(), kernel.binary.end()}, std::string(kernel.entry_name), false, 0.0, true, 1};
    }
    first_place = 1;
  }
  auto found = cache_.find_prebuilt(to_string(spec.target), key, first_place - 1);
  if (!found) return std::nullopt;
  CompiledKernel kernel = hit(std::move(found->entry));
  kernel.prebuilt = true;
  kernel.next_place = found->next + 1;
  return kernel;
}

std::optional<CompiledKernel> KernelCompiler::find_own(const Spec& spec) {
  if (cache_.store() == nullptr) return std::nullopt;
  if (auto entry = cache_.find_own(to_string(spec.target), key(spec).hex)) return hit(std::move(*entry));
  return std::nullopt;
}

std::optional<CompiledKernel> KernelCompiler::find_own_if_known(const Spec& spec) {
  try {
    return find_own(spec);
  } catch (const Error& error) {  // for host: no compiler, and so no key
    if (error.code() != ErrorCode::kCompiler) throw;
    return std::nullopt;
  }
}

CompiledKernel KernelCompiler::hit(cache::Entry entry) {
  disk_hits_++;
  const auto* bytes = reinterpret_cast<const std::byte*>(entry.payload.data());
  return {{bytes, bytes + entry.payload.size()}, std::move(entry.kernel_name), true};
}

cache::Entry KernelCompiler::entry_of(const Spec& spec, const cache::Key& key, const CompiledKernel& kernel) {
  nlohmann::json provenance;
  for (const auto& [name, value] : key.fields) provenance["key"][name] = value;
  provenance["spec"] = nlohmann::json::parse(to_json(spec));
  if (spec.target == Target::kHost) {
    provenance["compiler"] = host_compiler().path();
  } else {
    provenance["nvrtc"] = nvrtc().version();
  }
  provenance["compile_seconds"] = kernel.seconds;
  return {key.hex,
          kernel.entry_name,
          // A compiler says of itself what it likes, in any encoding.
          provenance.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          {reinterpret_cast<const char*>(kernel.binary.data()), kernel.binary.size()}};
}

cache::Entry KernelCompiler::prebuilt_entry(const Spec& spec, const CompiledKernel& kernel) {
  return entry_of(spec, key_of(spec).finish(), kernel);
}

void KernelCompiler::keep_on_disk(const Spec& spec, const cache::Key& key, const CompiledKernel& kernel) {
  if (cache_.store() == nullptr || cache_.mode() != cache::Mode::kNormal) return;
  cache_.keep(to_string(spec.target), entry_of(spec, key, kernel));
}

}  // namespace allnorm
