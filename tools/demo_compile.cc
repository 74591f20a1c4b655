// `allnorm demo` where there is no GPU: the demo's kernels for all architectures.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command.h"
#include "demo.h"
#include "dispatch/geometry.h"
#include "dispatch/names.h"
#include "env/env.h"
#include "jit/compiler.h"
#include "progress.h"
#include "text.h"

namespace allnorm::tools {
namespace {

/// Of the GPUs that there are, the fewest; only the geometry depends on it.
constexpr int kMultiprocessors = 132;

struct Compiled {
  Spec spec;
  std::size_t bytes;
  bool from_cache;
  double milliseconds;
};

std::vector<Spec> specs_of(const DemoOptions& options) {
  std::vector<Spec> specs;
  for (const Strategy strategy : demo_strategies(options.ranks)) {
    for (const Quant quant : kQuants) {
      for (const Target target : kGpuTargets) {
        Spec spec;
        spec.target = target;
        spec.strategy = strategy;
        spec.dtype = spec.gamma_dtype = options.dtype;
        spec.quant = quant;
        spec.layout = quant == Quant::kNvfp4 ? ScaleLayout::kSwizzled128x4 : ScaleLayout::kLinear;
        spec.has_output = quant == Quant::kNone;
        spec.world_size = static_cast<std::uint8_t>(options.ranks);
        spec.hidden_dim = options.hidden_dim;
        spec.geometry = default_geometry(options.hidden_dim, options.dtype, options.tokens, kMultiprocessors);
        specs.push_back(spec);
      }
    }
  }
  return specs;
}

std::vector<Compiled> compile_all(KernelCompiler& compiler, const std::vector<Spec>& specs) {
  std::vector<Compiled> results;
  Progress progress("compiling", specs.size());
  for (const Spec& spec : specs) {
    progress.step(fmt::format("{} {} for {}", to_string(spec.strategy), to_string(spec.quant), to_string(spec.target)));
    const CompiledKernel kernel = compiler.compile(spec);
    results.push_back({spec, kernel.binary.size(), kernel.from_disk_cache, kernel.seconds * 1e3});
  }
  return results;
}

/// A row for each kernel, a column for each target.
std::string to_text(const std::vector<Compiled>& results) {
  TextTable table({{}, {}, {'r'}, {'r'}, {'r'}, {'r'}});
  std::vector<std::string> cells = {"quant", "strategy"};
  for (const Target target : kGpuTargets) cells.emplace_back(to_string(target));
  table.add(cells);
  for (std::size_t i = 0; i < results.size(); i += kGpuTargets.size()) {
    cells = {to_string(results[i].spec.quant), to_string(results[i].spec.strategy)};
    for (std::size_t t = 0; t < kGpuTargets.size(); ++t) {
      const Compiled& c = results[i + t];
      cells.push_back(c.from_cache ? std::string("cached") : fmt::format("{:.0f} ms", c.milliseconds));
    }
    table.add(cells);
  }
  return table.to_string();
}

}  // namespace

int compile_only(const DemoOptions& options, const std::string& reason) {
  const std::string runs_on = fmt::format("nothing: {}", reason);
  if (!options.json) {
    fmt::print("Runs on {}.\nSo it compiles its kernels, for a world of {} and rows of {} {}:\n\n", runs_on,
               options.ranks, options.hidden_dim, to_string(options.dtype));
    std::fflush(stdout);
  }
  KernelCompiler compiler(Env::from_process(), "");
  const std::vector<Compiled> results = compile_all(compiler, specs_of(options));
  const std::string outcome = fmt::format(
      "{} kernels compiled, {} for each of {} architectures; none was run: that needs a GPU, see `allnorm doctor`",
      results.size(), results.size() / kGpuTargets.size(), kGpuTargets.size());
  if (!options.json) {
    fmt::print("{}\n{}\n", to_text(results), outcome);
    return kExitOk;
  }
  nlohmann::ordered_json json = {{"ran", false}, {"runs_on", runs_on}, {"outcome", outcome}};
  for (const Compiled& c : results) {
    json["compiled"].push_back(nlohmann::ordered_json{{"quant", to_string(c.spec.quant)},
                                                      {"strategy", to_string(c.spec.strategy)},
                                                      {"target", to_string(c.spec.target)},
                                                      {"bytes", c.bytes},
                                                      {"from_cache", c.from_cache},
                                                      {"milliseconds", c.milliseconds}});
  }
  fmt::print("{}\n", json.dump(2));
  return kExitOk;
}

}  // namespace allnorm::tools
