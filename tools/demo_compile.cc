// `allnorm demo --compile-only`: the demo's kernels for all GPU architectures.
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

/// A row of the table after the other: the targets of one kernel lie together.
std::vector<Spec> specs_of(DemoShape shape) {
  // One geometry: the table has no room for those of fewer tokens.
  std::vector<Spec> specs;
  const Geometry geometry =
      default_geometry(shape.hidden_dim, shape.dtype, shape.tokens, shape.ranks, kMultiprocessors);
  for (const Spec& of_first : demo_specs(shape, kGpuTargets.front(), kMultiprocessors)) {
    if (of_first.geometry != geometry) continue;
    for (const Target target : kGpuTargets) {
      specs.push_back(of_first);
      specs.back().target = target;
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

int compile_only(const DemoOptions& options) {
  const DemoShape& shape = options.shape;
  const std::string runs_on = "nothing: --compile-only was given";
  if (!options.json) {
    fmt::print("Runs on {}.\nCompiles the kernels for a world of {} and rows of {} {}:\n\n", runs_on, shape.ranks,
               shape.hidden_dim, to_string(shape.dtype));
    std::fflush(stdout);
  }
  KernelCompiler compiler(Env::from_process());
  const std::vector<Compiled> results = compile_all(compiler, specs_of(shape));
  const std::string outcome = fmt::format("{} kernels compiled, {} for each of {} architectures; none was run",
                                          results.size(), results.size() / kGpuTargets.size(), kGpuTargets.size());
  if (!options.json) {
    fmt::print("{}\n{}\n", to_text(results), outcome);
    return kExitOk;
  }
  nlohmann::ordered_json json = {{"ran", false}, {"device", nullptr}, {"runs_on", runs_on}, {"outcome", outcome}};
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
