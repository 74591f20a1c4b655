// `allnorm doctor`: what is here, whether a fused call can run, and what to do if not.
#include "doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "allnorm/error.h"
#include "allnorm/version.h"
#include "dispatch/geometry.h"
#include "jit/host_compiler.h"
#include "jit/kernel_sources.h"
#include "jit/nvrtc.h"
#include "jit/specialize.h"
#include "options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

/// The kernels that this build, or ALLNORM_KERNEL_DIR, has. Null if they cannot be read.
std::unique_ptr<KernelSources> examine_kernels(const Env& env, Findings& findings) {
  try {
    auto sources = std::make_unique<KernelSources>(env.kernel_dir);
    findings.add(Status::kInfo, "allnorm",
                 fmt::format("{}, kernels {} ({})", ALLNORM_VERSION_STRING, sources->digest().substr(0, 16),
                             env.kernel_dir.empty() ? "built in" : "from " + env.kernel_dir));
    return sources;
  } catch (const Error& error) {
    findings.add(Status::kFail, "kernels", error.what(), "unset ALLNORM_KERNEL_DIR, or name a folder with the sources");
    return nullptr;
  }
}

/// A kernel such as calls use, to see whether the compiler takes it.
Spec typical_spec(Target target) {
  Spec spec;
  spec.target = target;
  spec.quant = Quant::kFp8;
  spec.world_size = 2;
  spec.hidden_dim = 7168;
  spec.geometry = default_geometry(spec.hidden_dim, spec.dtype, 1, spec.world_size, 132);
  return spec;
}

/// Of a compiler's log, the line that counts.
std::string first_error(const std::string& log) {
  const std::size_t at = log.find("error: ");
  const std::size_t begin = at == std::string::npos ? 0 : at;
  return log.substr(begin, log.find('\n', begin) - begin);
}

std::string failed_topics(const Findings& findings) {
  std::vector<std::string> topics;
  for (const Finding& f : findings.list()) {
    if (f.status == Status::kFail && std::find(topics.begin(), topics.end(), f.topic) == topics.end()) {
      topics.push_back(f.topic);
    }
  }
  return fmt::format("{}", fmt::join(topics, ", "));
}

/// What calls, and `allnorm demo`, do where there is no GPU. `compiles`: for the simulator.
std::string without_gpu(const Env& env, bool compiles) {
  if (env.device.kind == DeviceChoice::Kind::kCuda) {
    return "ALLNORM_DEVICE=cuda makes a call without a GPU an error; `allnorm demo --device sim` runs on the "
           "simulator.";
  }
  if (compiles) {
    return "Without a GPU, calls run on the simulator (slow: for trying out and testing), and so will `allnorm demo`.";
  }
  return "Without a GPU, calls run on the simulator, which needs a C++ compiler; `allnorm demo` with its default "
         "options "
         "does without one.";
}

std::string outcome_of(const Findings& findings, const std::vector<Gpu>& gpus) {
  if (findings.count(Status::kFail) > 0) {
    return fmt::format("A fused call cannot run on a GPU here: see the lines that fail ({}).", failed_topics(findings));
  }
  const int warnings = findings.count(Status::kWarn);
  return fmt::format("A fused call can run here, on {}{}.",
                     gpus.size() == 1 ? "1 GPU" : fmt::format("{} GPUs", gpus.size()),
                     warnings == 0 ? "" : fmt::format(" ({} warning{})", warnings, warnings == 1 ? "" : "s"));
}

int run(bool as_json) {
  Findings findings;
  const Env env = examine_environment(findings);
  const auto sources = examine_kernels(env, findings);
  std::vector<Gpu> gpus;
  const auto driver = examine_driver(env, findings);
  if (driver != nullptr) {
    gpus = examine_gpus(*driver, findings);
    examine_links(*driver, gpus, findings);
    examine_memory_features(*driver, gpus, env, findings);
  }
  examine_nvrtc(env, gpus, sources.get(), findings);
  const bool compiles_for_host = examine_host_compiler(env, sources.get(), findings);
  examine_cache(env, findings);
  examine_table(env, gpus, sources ? sources->digest() : "", findings);

  const bool can_run = findings.count(Status::kFail) == 0;
  const std::string outcome = outcome_of(findings, gpus);
  const std::string otherwise = gpus.empty() ? without_gpu(env, compiles_for_host) : "";
  if (!as_json) {
    fmt::print("{}\n{}\n", findings.to_text(), outcome);
    if (!otherwise.empty()) fmt::print("{}\n", otherwise);
    return can_run ? kExitOk : kExitFailed;
  }
  nlohmann::ordered_json json = {{"can_run", can_run}, {"outcome", outcome}, {"findings", nlohmann::json::array()}};
  if (!otherwise.empty()) json["without_gpu"] = otherwise;
  for (const Finding& f : findings.list()) {
    json["findings"].push_back(nlohmann::ordered_json{
        {"status", to_string(f.status)}, {"topic", f.topic}, {"found", f.found}, {"advice", f.advice}});
  }
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  return can_run ? kExitOk : kExitFailed;
}

}  // namespace

void examine_nvrtc(const Env& env, const std::vector<Gpu>& gpus, const KernelSources* sources, Findings& findings) {
  std::shared_ptr<const Nvrtc> nvrtc;
  try {
    nvrtc = Nvrtc::load(env.nvrtc_path);
    findings.add(Status::kOk, "NVRTC", fmt::format("{}, version {}", nvrtc->path(), nvrtc->version()));
  } catch (const Error& error) {
    findings.add_error(Status::kFail, "NVRTC", error.what());
    return;
  }
  if (sources == nullptr) return;
  std::vector<std::string> works;
  for (const Target target : kGpuTargets) {
    const Spec spec = typical_spec(target);
    try {
      nvrtc->compile(specialized_source(spec), "doctor.cu", sources->files(), compile_options(target));
      works.emplace_back(to_string(target));
    } catch (const Error& error) {
      const bool needed = std::any_of(gpus.begin(), gpus.end(), [&](const Gpu& gpu) { return gpu.target == target; });
      findings.add(needed ? Status::kFail : Status::kWarn, "NVRTC",
                   fmt::format("cannot compile for {}: {}", to_string(target), first_error(error.what())),
                   needed ? "install a newer CUDA toolkit (13.0 has all targets)"
                          : "no GPU here needs it; a newer CUDA toolkit (13.0) has all targets");
    }
  }
  if (!works.empty()) findings.add(Status::kOk, "NVRTC", fmt::format("compiles for {}", fmt::join(works, ", ")));
}

bool examine_host_compiler(const Env& env, const KernelSources* sources, Findings& findings) {
  // No GPU needs it. Only a compiler that was asked for by name is missed by somebody.
  const Status status = env.cxx_path.empty() ? Status::kInfo : Status::kWarn;
  try {
    const auto compiler = HostCompiler::find(env);
    const std::string found = fmt::format("{}: {}", compiler->path(), compiler->identity());
    if (sources == nullptr) {
      findings.add(Status::kOk, "C++ compiler", found);
      return true;
    }
    try {
      const Spec spec = typical_spec(Target::kHost);
      compiler->compile(specialized_source(spec), "doctor.cc", sources->files(), compile_options(spec.target));
      findings.add(Status::kOk, "C++ compiler", found + ", compiles for host (the simulator)");
      return true;
    } catch (const Error& error) {
      findings.add(status, "C++ compiler",
                   fmt::format("{}: cannot compile for host: {}", found, first_error(error.what())),
                   "only the simulator needs it; name a C++20 compiler in ALLNORM_CXX");
    }
  } catch (const Error& error) {
    const auto [found, advice] = split_advice(error.what());
    findings.add(status, "C++ compiler", found, "only the simulator needs it; " + advice);
  }
  return false;
}

Run add_doctor(CLI::App& app) {
  const auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "Print JSON");
  add_notes(app,
            "Lines of three columns: ok, info, warn or fail; what was found; what to do about it.\n"
            "Looks only: it changes nothing, and creates no multicast object.\n\n"
            "Exit codes: 0 a fused call can run on a GPU here; 1 it cannot, the last lines say why.\n\n"
            "Examples:\n"
            "  allnorm doctor\n"
            "  ALLNORM_NVRTC=/opt/cuda/lib64/libnvrtc.so.13 allnorm doctor\n"
            "  allnorm doctor --json | jq '.findings[] | select(.status == \"fail\")'");
  return [json] { return run(*json); };
}

}  // namespace allnorm::tools
