#include "demo_place.h"

#include <fmt/format.h>

#include "allnorm/error.h"
#include "device/cuda/cuda_device.h"
#include "text.h"

namespace allnorm::tools {
namespace {

/// GPUs that there are kernels for, in the driver's order.
std::vector<int> usable_gpus(const cuda::Driver& driver) {
  int count = 0;
  driver.check(driver.cuDeviceGetCount(&count), "cuDeviceGetCount");
  std::vector<int> gpus;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    CUdevice device = 0;
    int major = 0;
    int minor = 0;
    driver.check(driver.cuDeviceGet(&device, ordinal), "cuDeviceGet");
    driver.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
    driver.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
    try {
      cuda::target_of(major, minor, "");
      gpus.push_back(ordinal);
    } catch (const Error&) {
      // Not one of ours; `allnorm doctor` says so.
    }
  }
  return gpus;
}

/// Whether each can store into each other's memory.
bool all_linked(const cuda::Driver& driver, const std::vector<int>& gpus) {
  for (const int a : gpus) {
    for (const int b : gpus) {
      if (a == b) continue;
      int possible = 0;
      driver.check(driver.cuDeviceCanAccessPeer(&possible, a, b), "cuDeviceCanAccessPeer");
      if (possible == 0) return false;
    }
  }
  return true;
}

/// Throws kDriver.
DemoPlace on_gpus(const Env& env) {
  DemoPlace place;
  place.device = "cuda";
  place.driver = cuda::Driver::load(env.driver_path);
  place.gpus = usable_gpus(*place.driver);
  if (place.gpus.empty()) {
    throw Error(ErrorCode::kDriver, "no GPU here is one that AllNorm has kernels for; `allnorm doctor` says more");
  }
  return place;
}

/// A GPU for each rank where there are enough that reach each other, else virtual ranks on the first.
void place_ranks(DemoPlace& place, int ranks) {
  const std::vector<int> usable = place.gpus;
  if (usable.size() >= static_cast<std::size_t>(ranks)) {
    place.gpus.assign(usable.begin(), usable.begin() + ranks);
    if (all_linked(*place.driver, place.gpus)) return;
  }
  place.gpus.assign(static_cast<std::size_t>(ranks), usable.front());
}

DemoPlace on_simulator(int ranks, const Env& env, std::string reason) {
  // A simulated GPU for each rank, unless a number was asked for.
  const bool is_given = env.device.kind == DeviceChoice::Kind::kSimulator;
  const int count = is_given ? env.device.simulated_gpus : ranks;
  DemoPlace place;
  place.device = fmt::format("sim:{}", count);
  for (int rank = 0; rank < ranks; ++rank) place.gpus.push_back(count >= ranks ? rank : 0);
  place.reason = std::move(reason);
  return place;
}

}  // namespace

const char* to_string(DemoDevice device) noexcept {
  switch (device) {
    case DemoDevice::kCuda: return "cuda";
    case DemoDevice::kSim: return "sim";
    default: return "auto";
  }
}

namespace {

/// GPUs, unless that is not what was asked for or there are none: then the simulator.
DemoPlace choose(DemoDevice device, int ranks, const Env& env) {
  using Kind = DeviceChoice::Kind;
  if (device == DemoDevice::kSim) return on_simulator(ranks, env, "--device sim was given");
  if (device == DemoDevice::kAuto && env.device.kind == Kind::kSimulator) {
    return on_simulator(ranks, env, "ALLNORM_DEVICE asks for it");
  }
  try {
    return on_gpus(env);
  } catch (const Error& error) {
    const auto [what, advice] = split_advice(error.what());
    if (device == DemoDevice::kAuto && env.device.kind == Kind::kAutomatic) return on_simulator(ranks, env, what);
    throw Error(error.code(),
                fmt::format("{}: {}; {}, or run the demo on the simulator with --device sim",
                            device == DemoDevice::kCuda ? "--device cuda" : "ALLNORM_DEVICE=cuda", what, advice));
  }
}

}  // namespace

DemoPlace choose_place(DemoDevice device, int ranks, const Env& env) {
  DemoPlace place = choose(device, ranks, env);
  if (!place.is_simulated()) place_ranks(place, ranks);
  return place;
}

DemoPlace choose_place_of_rank(DemoDevice device, int rank, int ranks, const Env& env) {
  DemoPlace place = choose(device, ranks, env);
  if (place.is_simulated()) return place;
  if (place.gpus.size() > 1 && place.gpus.size() < static_cast<std::size_t>(ranks)) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} processes were started and {} GPUs are here: each process needs one of its own; start "
                            "fewer, or one process with --ranks {}, which may share a GPU",
                            ranks, place.gpus.size(), ranks));
  }
  place.gpus = {place.gpus[place.gpus.size() == 1 ? 0 : static_cast<std::size_t>(rank)]};
  return place;
}

}  // namespace allnorm::tools
