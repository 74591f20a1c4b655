#include "tune_place.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <iterator>

#include "allnorm/error.h"
#include "allnorm/version.h"
#include "api/context_impl.h"
#include "bench_report.h"
#include "demo_place.h"
#include "gpu/session.h"
#include "tune_table.h"

namespace allnorm::tools {
namespace {

bool are_virtual(const std::vector<int>& gpus) { return gpus.size() > 1 && gpus[0] == gpus[1]; }

[[noreturn]] void refuse_simulator(const std::string& reason) {
  throw Error(ErrorCode::kDriver,
              reason + "; a table is made of times on GPUs, and times of simulated GPUs mean nothing");
}

DemoPlace choose(int ranks, const Env& env) {
  DemoPlace place = choose_place(DemoDevice::kAuto, ranks, env);
  if (place.is_simulated()) refuse_simulator(place.reason);
  return place;
}

std::string driver_version(const TunePlace& place) {
  std::ifstream file("/proc/driver/nvidia/version");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (const std::string version = driver_version_in(text); !version.empty()) return version;
  const int api = gpu_tests::Gpu::at(place.gpus.front()).driver().version;
  return fmt::format("for CUDA {}.{}", api / 1000, api % 1000 / 10);
}

/// "2026-11-23", in UTC.
std::string today() {
  using namespace std::chrono;
  const year_month_day date = floor<days>(system_clock::now());
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

/// All kernels may have come from the cache, and no compiler be here.
std::string nvrtc_version(KernelCompiler& compiler) {
  try {
    return compiler.nvrtc().version();
  } catch (const Error&) {
    return "none here";
  }
}

}  // namespace

std::string TunePlace::words() const {
  return describe(BenchPlace{device_name(*this), world_size, bootstrap != nullptr, false});
}

TuneCase TunePlace::kind_of(const TableKey& key) const {
  const Device& device = gpu_tests::Gpu::at(gpus.front()).device();
  return {key, device.multiprocessors(), link_model(device.target())};
}

void need_gpus(const Env& env) {
  if (gpu_tests::Gpu::count() == 0) refuse_simulator(gpu_tests::Gpu::why_none());
  choose(1, env);
}

TunePlace place_of(int ranks, const Env& env) {
  const DemoPlace place = choose(ranks, env);
  if (are_virtual(place.gpus)) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} ranks: there are not as many GPUs that reach each other, and ranks that share one say "
                            "nothing of the links; tune a smaller world with --ranks",
                            ranks));
  }
  return {place.gpus, nullptr, ranks};
}

std::vector<TunePlace> places_of(const std::vector<int>& ranks, const Env& env) {
  if (Bootstrap* const bootstrap = gpu_tests::launched_bootstrap()) {
    const DemoPlace place = choose_place_of_rank(DemoDevice::kAuto, bootstrap->rank(), bootstrap->world_size(), env);
    if (place.is_simulated()) refuse_simulator(place.reason);
    return {{place.gpus, bootstrap, bootstrap->world_size()}};
  }
  std::vector<TunePlace> places;
  for (const int count : ranks) places.push_back(place_of(count, env));
  if (!ranks.empty()) return places;
  places.push_back(place_of(2, env));
  for (const int count : {4, 8}) {
    if (!are_virtual(choose(count, env).gpus)) places.push_back(place_of(count, env));
  }
  return places;
}

std::string device_name(const TunePlace& place) { return gpu_tests::Gpu::at(place.gpus.front()).device().name(); }

Provenance provenance_of(const TunePlace& place) {
  KernelCompiler& compiler = gpu_tests::shared_context().impl().compiler();
  return {device_name(place),
          driver_version(place),
          nvrtc_version(compiler),
          compiler.sources().digest(),
          today(),
          "allnorm tune " ALLNORM_VERSION_STRING};
}

}  // namespace allnorm::tools
