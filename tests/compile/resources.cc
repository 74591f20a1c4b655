// Checks that no kernel that AUTO can choose needs local memory, whose stack could be
// resized at a launch, which synchronises the context, beside a peer's kernel that spins (design, end of section 4);
// and that none is larger than 40 KiB (section 6). No GPU is needed.
//
//   allnorm_resources --all            every default geometry of the hidden sizes below, with PDL and all outputs
//   allnorm_resources --sample 40      some of them, from --seed, with outputs, PDL and layout at random
//   allnorm_resources --lean --all     the same of lean kernels (kLean in row.cuh), which have no register to spare:
//                                      every kernel of rows that models have, of a shape that may be lean. As many CTAs
//                                      as they are made for must fit on a multiprocessor. --sample 40: some of them
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <random>
#include <regex>
#include <set>
#include <thread>
#include <utility>

#include "allnorm/error.h"
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
  bool is_lean = false;
};

Usage usage_of(KernelCompiler& compiler, const Spec& spec, const std::string& assertion = "") {
  std::vector<std::string> options = compile_options(spec.target);
  options.emplace_back("--ptxas-options=--verbose");
  const Nvrtc::Result result = compiler.nvrtc().compile(specialized_source(spec) + assertion, "resources.cu",
                                                        compiler.sources().files(), options);
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

/// Registers of a thread with which as many CTAs of a lean kernel fit on a multiprocessor as it is made for: two of
/// more than 512 threads, else 2048 threads.
int lean_registers(const Spec& spec) {
  const int warps = spec.geometry.warps_per_cta;
  const int ctas = warps > 16 ? 2 : 64 / warps;
  const int allocated_warps = (warps + 3) / 4 * 4 * ctas;
  return 65536 / (32 * allocated_warps) / 8 * 8;
}

/// With `is_lean`, which the kernel's source says. How a kernel that is not lean does is another matter.
Usage usage_if_lean(KernelCompiler& compiler, const Spec& spec) {
  try {
    Usage usage = usage_of(compiler, spec, "static_assert(allnorm_kernel::kLean, \"not lean\");\n");
    usage.is_lean = true;
    return usage;
  } catch (const Error& error) {
    if (std::string(error.what()).find("not lean") == std::string::npos) throw;
    return usage_of(compiler, spec);
  }
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
                spec.geometry = default_geometry(hidden, dtype, tokens, world, tokens == 2 ? 16 : 132);
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

struct LeanCall {
  Operation operation;
  Quant quant;
  ScaleLayout layout = ScaleLayout::kLinear;
  bool zero_scale_padding = false;
};
constexpr std::array kLeanCalls = {
    LeanCall{Operation::kAllReduce, Quant::kNone},
    LeanCall{Operation::kFused, Quant::kNone},
    LeanCall{Operation::kFused, Quant::kFp8},
    LeanCall{Operation::kFused, Quant::kDynamicFp8},
    LeanCall{Operation::kFused, Quant::kNvfp4},
    LeanCall{Operation::kFused, Quant::kNvfp4, ScaleLayout::kSwizzled128x4},
    LeanCall{Operation::kFused, Quant::kNvfp4, ScaleLayout::kSwizzled128x4, true},
};

/// Of shapes that may be lean: two ranks, 16 bits, one CTA a row, a chunk a warp.
std::vector<Spec> lean_specs(Target target) {
  std::vector<Spec> specs;
  for (const int hidden : {2048, 2880, 4096, 4544, 5120, 7168, 8192}) {
    for (const DataType dtype : {DataType::kBF16, DataType::kF16}) {
      for (const LeanCall& call : kLeanCalls) {
        for (const auto& [output, residual_out] : {std::pair{true, true}, {true, false}, {false, true}}) {
          for (const Pdl pdl : {Pdl::kOff, Pdl::kEarlyTrigger, Pdl::kLateTrigger}) {
            if (!output && call.quant == Quant::kNone) continue;
            if (residual_out && call.operation == Operation::kAllReduce) continue;
            Spec spec;
            spec.target = target;
            spec.operation = call.operation;
            spec.strategy = Strategy::kOneShot;
            spec.dtype = spec.gamma_dtype = dtype;
            spec.quant = call.quant;
            spec.layout = call.layout;
            spec.zero_scale_padding = call.zero_scale_padding;
            spec.has_output = output;
            spec.has_residual_out = residual_out;
            spec.pdl = pdl;
            spec.hidden_dim = hidden;
            spec.world_size = 2;
            spec.geometry = Geometry{1, static_cast<std::uint8_t>(chunks_per_row(hidden, dtype)), 1};
            specs.push_back(spec);
          }
        }
      }
    }
  }
  return specs;
}

/// What the list of default_specs has in one form alone.
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
  bool lean = false;
  unsigned seed = 1;
  unsigned workers = 2;
  std::string target = "sm_90a";
  app.add_flag("--all", all, "every default geometry");
  app.add_flag("--lean", lean, "lean kernels");
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
    std::vector<Spec> specs = lean ? lean_specs(parse_target(target)) : default_specs(parse_target(target));
    if (!all) {
      std::mt19937 random(seed);
      std::shuffle(specs.begin(), specs.end(), random);
      specs.resize(std::min(sample, specs.size()));
      if (!lean) {
        for (Spec& spec : specs) vary(spec, random);
      }
    }
    std::atomic<std::size_t> next = 0;
    std::atomic<int> bad = 0;
    std::mutex mutex;
    std::size_t lean_kernels = 0;
    int most_registers = 0;
    std::size_t most_bytes = 0;
    {
      std::vector<std::jthread> threads;
      for (unsigned worker = 0; worker < workers; worker++) {
        threads.emplace_back([&] {
          for (std::size_t i = next++; i < specs.size(); i = next++) {
            const Usage usage = lean ? usage_if_lean(compiler, specs[i]) : usage_of(compiler, specs[i]);
            const bool fits = !usage.is_lean || usage.registers <= lean_registers(specs[i]);
            const std::lock_guard lock(mutex);
            lean_kernels += usage.is_lean ? 1 : 0;
            most_registers = std::max(most_registers, usage.registers);
            most_bytes = std::max(most_bytes, usage.bytes);
            if (usage.stack_bytes == 0 && usage.bytes <= kMaxBytes && fits) continue;
            bad++;
            fmt::print("{} bytes of stack, {} registers{}, {} bytes: {}\n", usage.stack_bytes, usage.registers,
                       usage.is_lean ? fmt::format(" of {}", lean_registers(specs[i])) : "", usage.bytes,
                       describe(specs[i]));
          }
        });
      }
    }
    fmt::print(
        "{} kernels for {}{}, {} with local memory, too many registers or over {} bytes; at most {} registers, "
        "{} bytes\n",
        specs.size(), target, lean ? fmt::format(", {} of them lean", lean_kernels) : "", bad.load(), kMaxBytes,
        most_registers, most_bytes);
    // Where no kernel is lean, nothing was found out; for other targets none may be.
    if (lean && lean_kernels == 0 && target == to_string(Target::kSm90a)) bad++;
    return bad == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "allnorm_resources: {}\n", error.what());
    return 1;
  }
}
