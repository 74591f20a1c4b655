#include "sim/litmus.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "allnorm/error.h"
#include "device/sim/operations.h"
#include "jit/host_compiler.h"
#include "jit/kernel_sources.h"
#include "jit/specialize.h"

namespace allnorm::sim_tests {
namespace {

constexpr std::string_view kPreamble = R"(#include "spec_types.cuh"
#include "device_ops.cuh"
#include "params.cuh"
namespace allnorm_kernel {
using Params = ParamsFor<72>;
ALLNORM_DEVICE u32* word(const Params& params, u32 i) { return reinterpret_cast<u32*>(params.symmetric[0]) + i; }
ALLNORM_DEVICE Words4* words4(const Params& params, u32 i) { return reinterpret_cast<Words4*>(word(params, i)); }
ALLNORM_DEVICE u64* wide(const Params& params, u32 i) { return reinterpret_cast<u64*>(word(params, i)); }
ALLNORM_DEVICE void result(const Params& params, u32 i, u32 value) {
  store_output(reinterpret_cast<u32*>(params.output) + i, value);
}
#define KERNEL(name) ALLNORM_KERNEL(1024, 1) name(ALLNORM_GRID_CONSTANT(Params) params)
)";

Env environment() {
  Env env;
  if (const char* path = std::getenv("PATH")) env.search_path = path;
  return env;
}

}  // namespace

LitmusKernels::LitmusKernels(std::string_view text) : source_(fmt::format("{}{}\n}}\n", kPreamble, text)) {
  static const auto kCompiler = HostCompiler::find(environment());
  static const KernelSources kSources("");
  const auto compiled = kCompiler->compile(source_, "litmus.cc", kSources.files(), compile_options(Target::kHost));
  library_ = std::make_unique<sim::HostLibrary>(compiled.library, &sim::host_operations(), environment().temporary_dir);
}

const sim::Kernel& LitmusKernels::get(const std::string& name, Shape shape) {
  sim::Kernel& kernel = kernels_[{name, shape.threads, shape.ctas, shape.dependent}];
  if (kernel.entry == nullptr) {
    kernel = {library_->entry_point(name), name, shape.threads, shape.ctas, shape.dependent};
  }
  return kernel;
}

std::string LitmusKernels::line(const std::string& marker) const {
  const std::size_t at = source_.find("// " + marker + "\n");
  if (at == std::string::npos) throw std::invalid_argument("no line of the kernels ends with // " + marker);
  return fmt::format("litmus.cc:{}", 1 + std::count(source_.begin(), source_.begin() + static_cast<long>(at), '\n'));
}

Bench::Bench(int devices, unsigned multiprocessors, int ranks)
    : machine_({devices, multiprocessors}),
      words_(machine_.allocate(4 * kWords, 0, sim::Machine::Reach::kAllDevices, "the words")),
      results_(machine_.allocate(4 * kResults, 0, sim::Machine::Reach::kAllDevices, "the results")) {
  for (int rank = 0; rank < ranks; rank++) streams_.push_back(machine_.create_stream(rank % devices, true));
}

sim::KernelParams Bench::params(int rank) const {
  sim::KernelParams params{};
  params.rank = static_cast<unsigned>(rank);
  params.symmetric[0] = static_cast<char*>(words_);
  params.output = results_;
  return params;
}

void Bench::launch(const sim::Kernel& kernel, int rank, unsigned clusters) {
  machine_.launch(stream(rank), {&kernel, clusters, params(rank)});
}

Outcome Bench::results(unsigned n) {
  Outcome outcome(n);
  machine_.read(outcome.data(), results_, 4 * n);
  return outcome;
}

std::uint32_t Bench::word(unsigned i) {
  std::uint32_t value = 0;
  machine_.read(&value, static_cast<char*>(words_) + 4 * i, 4);
  return value;
}

void Bench::set_word(unsigned i, std::uint32_t value) { machine_.write(static_cast<char*>(words_) + 4 * i, &value, 4); }

void Bench::reset(const sim::Schedule& schedule) {
  sim::Schedule bounded = schedule;
  if (bounded.step_budget == 0) bounded.step_budget = kStepBudget;
  machine_.set_schedule(bounded);
  machine_.fill(words_, 0, 4 * kWords);
  machine_.fill(results_, 0, 4 * kResults);
}

std::string Bench::run(const sim::Schedule& schedule, const std::function<void(Bench&)>& launches) {
  reset(schedule);
  try {
    launches(*this);
    machine_.synchronize_all();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kSimulation) throw;
    return error.what();
  }
  return "";
}

std::set<Outcome> Bench::outcomes(unsigned n, const std::function<void(Bench&)>& launches,
                                  const sim::Schedule& schedule, std::uint64_t seeds) {
  std::set<Outcome> found;
  sim::Schedule each = schedule;
  for (each.seed = 1; each.seed <= seeds; each.seed++) {
    reset(each);
    launches(*this);
    machine_.synchronize_all();
    found.insert(results(n));
  }
  return found;
}

std::set<std::uint32_t> column(const std::set<Outcome>& outcomes, std::size_t which) {
  std::set<std::uint32_t> values;
  for (const Outcome& each : outcomes) values.insert(each.at(which));
  return values;
}

sim::Schedule with_seed(std::uint64_t seed) {
  sim::Schedule schedule;
  schedule.seed = seed;
  return schedule;
}

sim::Schedule without_stale_loads() {
  sim::Schedule schedule;
  schedule.stale_loads = false;
  return schedule;
}

std::optional<std::size_t> search_all(Bench& bench, const std::function<void(Bench&)>& launches,
                                      const std::function<void(Bench&)>& look, std::size_t most) {
  sim::Schedule schedule;
  schedule.policy = sim::Policy::kReplay;
  for (std::size_t runs = 1; runs <= most; runs++) {
    bench.reset(schedule);
    launches(bench);
    bench.machine().synchronize_all();
    look(bench);
    std::vector<sim::Choices::Decision> decisions = bench.machine().decisions();
    while (!decisions.empty() && decisions.back().chosen + 1 == decisions.back().count) decisions.pop_back();
    if (decisions.empty()) return runs;
    decisions.back().chosen++;
    schedule.replay.clear();
    for (const auto& decision : decisions) schedule.replay.push_back(decision.chosen);
  }
  return std::nullopt;
}

}  // namespace allnorm::sim_tests
