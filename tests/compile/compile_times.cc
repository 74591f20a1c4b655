// Compiles the kernels of a cross product of Specs, cold and without a GPU, and says how long each took.
//
//   allnorm_compile_times --all              every combination (some minutes)
//   allnorm_compile_times --sample 40        a sample that covers every value of every axis, from --seed
//
// Exit 0 if all compile; times are reported, never judged here.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "allnorm/error.h"
#include "dispatch/geometry.h"
#include "dispatch/names.h"
#include "jit/compiler.h"

namespace {

using allnorm::DataType;
using allnorm::Quant;
using allnorm::ScaleLayout;
using allnorm::Spec;
using allnorm::Strategy;
using allnorm::Target;
using allnorm::Transport;

struct Timing {
  Spec spec;
  double milliseconds = 0.0;
  double cpu_milliseconds = 0.0;  ///< What the compiler took of the processor: the same on a busy machine.
  std::size_t bytes = 0;
};

std::vector<Spec> all_specs() {
  std::vector<Spec> specs;
  for (const Target target : allnorm::kGpuTargets) {
    for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
      for (const Transport transport : {Transport::kUnicast, Transport::kMulticast}) {
        for (const DataType dtype : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
          for (const Quant quant : {Quant::kNone, Quant::kFp8, Quant::kNvfp4, Quant::kDynamicFp8}) {
            for (const ScaleLayout layout : {ScaleLayout::kLinear, ScaleLayout::kSwizzled128x4}) {
              if (quant != Quant::kNvfp4 && layout != ScaleLayout::kLinear) continue;
              for (const int hidden : {7168, 2880}) {
                for (const int world : {2, 8, 72}) {
                  Spec spec;
                  spec.target = target;
                  spec.strategy = strategy;
                  spec.transport = transport;
                  spec.dtype = spec.gamma_dtype = dtype;
                  spec.quant = quant;
                  spec.layout = layout;
                  spec.zero_scale_padding = layout == ScaleLayout::kSwizzled128x4;
                  spec.pdl = allnorm::Pdl::kEarlyTrigger;
                  spec.hidden_dim = hidden;
                  spec.world_size = static_cast<std::uint8_t>(world);
                  spec.geometry =
                      allnorm::default_geometry(hidden, dtype, specs.size() % 2 == 0 ? 1 : 4096, spec.world_size, 132);
                  specs.push_back(spec);
                }
              }
            }
          }
        }
      }
    }
  }
  return specs;
}

/// In random order, as many as asked for; all if `count` is 0.
std::vector<Spec> chosen_specs(std::size_t count, unsigned seed) {
  std::vector<Spec> specs = all_specs();
  if (count == 0) return specs;
  std::mt19937 random(seed);
  std::shuffle(specs.begin(), specs.end(), random);
  specs.resize(std::min(count, specs.size()));
  return specs;
}

double quantile(const std::vector<Timing>& sorted, double q) {
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))].milliseconds;
}

double thread_cpu_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

std::vector<Timing> compile_all(allnorm::KernelCompiler& compiler, const std::vector<Spec>& specs, unsigned workers) {
  std::vector<Timing> timings(specs.size());
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  std::vector<std::jthread> threads;
  for (unsigned worker = 0; worker < workers; worker++) {
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < specs.size(); i = next++) {
        try {
          const double begin = thread_cpu_milliseconds();
          const allnorm::CompiledKernel kernel = compiler.compile_anew(specs[i]);
          timings[i] = {specs[i], kernel.seconds * 1e3, thread_cpu_milliseconds() - begin, kernel.binary.size()};
        } catch (...) {
          const std::lock_guard lock(mutex);
          failure = std::current_exception();
          next = specs.size();
        }
        if (i % 20 == 0 && isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r{} of {}", i, specs.size());
      }
    });
  }
  threads.clear();
  if (failure) std::rethrow_exception(failure);
  return timings;
}

void print_group(const char* axis, const std::string& value, std::vector<Timing> group) {
  if (group.empty()) return;
  std::sort(group.begin(), group.end(),
            [](const Timing& a, const Timing& b) { return a.milliseconds < b.milliseconds; });
  std::size_t largest = 0;
  std::vector<double> cpu;
  for (const Timing& timing : group) {
    largest = std::max(largest, timing.bytes);
    cpu.push_back(timing.cpu_milliseconds);
  }
  std::sort(cpu.begin(), cpu.end());
  fmt::print("| {} {} | {} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.1f} |\n", axis, value, group.size(),
             quantile(group, 0.5), quantile(group, 0.9), group.back().milliseconds, cpu[cpu.size() / 2], cpu.back(),
             static_cast<double>(largest) / 1024.0);
}

template <typename Value>
void print_axis(const char* axis, const std::vector<Timing>& timings, Value value) {
  std::vector<std::string> seen;
  for (const Timing& timing : timings) {
    const std::string name = value(timing.spec);
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
    seen.push_back(name);
    std::vector<Timing> group;
    std::copy_if(timings.begin(), timings.end(), std::back_inserter(group),
                 [&](const Timing& other) { return value(other.spec) == name; });
    print_group(axis, name, group);
  }
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): a failure to print may end it
  CLI::App app("How long the kernels of a cross product of Specs take to compile, cold");
  std::size_t sample = 40;
  bool all = false;
  unsigned seed = 1;
  unsigned workers = 1;
  app.add_flag("--all", all, "every combination");
  app.add_option("--sample", sample, "so many, at random")->capture_default_str();
  app.add_option("--seed", seed)->capture_default_str();
  app.add_option("--workers", workers, "threads; times are only worth quoting with 1")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    allnorm::Env env = allnorm::Env::from_process();
    env.cache.mode = allnorm::cache::Mode::kOff;
    allnorm::KernelCompiler compiler(env);
    const std::vector<Spec> specs = chosen_specs(all ? 0 : sample, seed);
    compiler.compile_anew(specs.front());  // loads NVRTC, which is not a compile time
    std::vector<Timing> timings = compile_all(compiler, specs, workers);
    fmt::print("NVRTC {}, {} kernels{}, {} worker(s)\n\n", compiler.nvrtc().version(), specs.size(),
               all ? "" : fmt::format(" (seed {})", seed), workers);
    fmt::print(
        "| Specs | count | median ms | p90 ms | max ms | median CPU ms | max CPU ms | largest KiB |\n| --- | ---: | "
        "---: | ---: | ---: | ---: | ---: | ---: |\n");
    print_group("all", "", timings);
    print_axis("", timings, [](const Spec& s) { return std::string(to_string(s.target)); });
    print_axis("", timings, [](const Spec& s) { return std::string(to_string(s.strategy)); });
    print_axis("", timings, [](const Spec& s) { return std::string(to_string(s.transport)); });
    print_axis("", timings, [](const Spec& s) { return std::string(to_string(s.dtype)); });
    print_axis("quant", timings, [](const Spec& s) { return std::string(to_string(s.quant)); });
    print_axis("world", timings, [](const Spec& s) { return std::to_string(s.world_size); });
    print_axis("hidden", timings, [](const Spec& s) { return std::to_string(s.hidden_dim); });
    const auto slowest = std::max_element(timings.begin(), timings.end(), [](const Timing& a, const Timing& b) {
      return a.milliseconds < b.milliseconds;
    });
    fmt::print("\nslowest: {:.0f} ms, {}\n", slowest->milliseconds, describe(slowest->spec));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "allnorm_compile_times: {}\n", error.what());
    return 1;
  }
}
