// Checks that no kernel that AUTO can choose needs local memory, whose stack could be
// resized at a launch, which synchronises the context, beside a peer's kernel that spins (design, end of section 4);
// and that none is larger than 40 KiB (section 6). No GPU is needed.
//
//   allnorm_resources --all            every default geometry of the hidden sizes below, with PDL and all outputs
//   allnorm_resources --sample 40      some of them, from --seed, with outputs, PDL and layout at random
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <regex>
#include <set>
#include <thread>

#include "dispatch/geometry.h"
#include "dispatch/names.h"
#include "jit/compiler.h"
#include "jit/specialize.h"

namespace {

using namespace allnorm;

constexpr std::size_t kMaxBytes = std::size_t{40} * 1024;

struct Usage {
  int stack_bytes = -1;
  int registers = -1;
  std::size_t bytes = 0;
};

Usage usage_of(KernelCompiler& compiler, const Spec& spec) {
  std::vector<std::string> options = compile_options(spec.target);
  options.emplace_back("--ptxas-options=--verbose");
  const Nvrtc::Result result =
      compiler.nvrtc().compile(specialized_source(spec), "resources.cu", compiler.sources().files(), options);
  const std::string& log = result.log;
  Usage usage;
  usage.bytes = result.cubin.size();
  std::smatch match;
  static const std::regex kStack("([0-9]+) bytes stack frame");
  static const std::regex kRegisters("Used ([0-9]+) registers");
  if (std::regex_search(log, match, kStack)) usage.stack_bytes = std::stoi(match[1]);
  if (std::regex_search(log, match, kRegisters)) usage.registers = std::stoi(match[1]);
  return usage;
}

std::vector<Spec> default_specs(Target target) {
  std::set<Spec> specs;
  for (const int hidden : {8, 16, 24, 256, 2048, 2880, 4096, 4544, 5120, 7168, 8192, 12288, 16384, 32768, 65536}) {
    for (const DataType dtype : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
      for (const DataType gamma : {dtype, DataType::kF32}) {
        for (const Quant quant : {Quant::kNone, Quant::kFp8, Quant::kNvfp4, Quant::kDynamicFp8}) {
          for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
            for (const int world : {2, 3, 5, 8, 72}) {
              for (const int tokens : {1, 2, 64, 128, 4096}) {
                if (!is_hidden_dim(hidden, dtype, quant)) continue;
                Spec spec;
                spec.target = target;
                spec.strategy = strategy;
                spec.dtype = dtype;
                spec.gamma_dtype = gamma;
                spec.quant = quant;
                spec.pdl = Pdl::kEarlyTrigger;
                spec.hidden_dim = hidden;
                spec.world_size = static_cast<std::uint8_t>(world);
                spec.geometry = default_geometry(hidden, dtype, tokens, tokens == 2 ? 16 : 132);
                specs.insert(spec);
              }
            }
          }
        }
      }
    }
  }
  return {specs.begin(), specs.end()};
}

/// What the list above has in one form alone.
void vary(Spec& spec, std::mt19937& random) {
  const auto one_of = [&](unsigned count) { return random() % count == 0; };
  spec.pdl = std::array{Pdl::kOff, Pdl::kEarlyTrigger, Pdl::kLateTrigger}[random() % 3];
  if (one_of(8)) {
    spec.operation = Operation::kAllReduce;
    spec.quant = Quant::kNone;
    spec.gamma_dtype = spec.dtype;
    spec.has_output = true;
    spec.has_residual_out = false;
    return;
  }
  spec.has_output = spec.quant == Quant::kNone || one_of(2);
  spec.has_residual_out = !one_of(3);
  if (spec.quant != Quant::kNvfp4) return;
  spec.layout = one_of(3) ? ScaleLayout::kLinear : ScaleLayout::kSwizzled128x4;
  spec.zero_scale_padding = spec.layout == ScaleLayout::kSwizzled128x4 && one_of(2);
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): a failure to print may end it
  CLI::App app("Registers, local memory and size of the kernels that AUTO can choose");
  std::size_t sample = 40;
  bool all = false;
  unsigned seed = 1;
  unsigned workers = 2;
  std::string target = "sm_90a";
  app.add_flag("--all", all, "every default geometry");
  app.add_option("--sample", sample, "so many, at random")->capture_default_str();
  app.add_option("--seed", seed)->capture_default_str();
  app.add_option("--workers", workers)->capture_default_str();
  app.add_option("--target", target)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    Env env = Env::from_process();
    env.cache.mode = cache::Mode::kOff;
    KernelCompiler compiler(env);
    compiler.nvrtc();
    std::vector<Spec> specs = default_specs(parse_target(target));
    if (!all) {
      std::mt19937 random(seed);
      std::shuffle(specs.begin(), specs.end(), random);
      specs.resize(std::min(sample, specs.size()));
      for (Spec& spec : specs) vary(spec, random);
    }
    std::atomic<std::size_t> next = 0;
    std::atomic<int> bad = 0;
    std::mutex mutex;
    int most_registers = 0;
    std::size_t most_bytes = 0;
    {
      std::vector<std::jthread> threads;
      for (unsigned worker = 0; worker < workers; worker++) {
        threads.emplace_back([&] {
          for (std::size_t i = next++; i < specs.size(); i = next++) {
            const Usage usage = usage_of(compiler, specs[i]);
            const std::lock_guard lock(mutex);
            most_registers = std::max(most_registers, usage.registers);
            most_bytes = std::max(most_bytes, usage.bytes);
            if (usage.stack_bytes == 0 && usage.bytes <= kMaxBytes) continue;
            bad++;
            fmt::print("{} bytes of stack, {} registers, {} bytes: {}\n", usage.stack_bytes, usage.registers,
                       usage.bytes, describe(specs[i]));
          }
        });
      }
    }
    fmt::print("{} kernels for {}, {} with local memory or over {} bytes; at most {} registers, {} bytes\n",
               specs.size(), target, bad.load(), kMaxBytes, most_registers, most_bytes);
    return bad == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "allnorm_resources: {}\n", error.what());
    return 1;
  }
}
