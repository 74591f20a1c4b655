// What `allnorm demo` runs on: GPUs, or simulated ones.
#ifndef ALLNORM_TOOLS_DEMO_PLACE_H_
#define ALLNORM_TOOLS_DEMO_PLACE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "device/cuda/driver.h"
#include "env/env.h"

namespace allnorm::tools {

enum class DemoDevice : std::uint8_t { kAuto, kCuda, kSim };
inline constexpr std::array kDemoDevices = {DemoDevice::kAuto, DemoDevice::kCuda, DemoDevice::kSim};
const char* to_string(DemoDevice device) noexcept;

struct DemoPlace {
  std::string device;                          ///< As in ContextOptions: "cuda", "sim:2".
  std::vector<int> gpus;                       ///< Of each rank; one that is named more often carries virtual ranks.
  std::shared_ptr<const cuda::Driver> driver;  ///< Null: simulated.
  std::string reason;                          ///< Why simulated.

  bool is_simulated() const noexcept { return driver == nullptr; }
};

/// kAuto: what ALLNORM_DEVICE says, else GPUs, else the simulator. Throws kDriver if GPUs were asked for and there are
/// none to use.
DemoPlace choose_place(DemoDevice device, int ranks, const Env& env);

/// For one rank of a group of processes, likewise: the GPU of its number, or the only one that it is shown. On the
/// simulator it has all ranks, for simulated GPUs cannot be shared between processes.
DemoPlace choose_place_of_rank(DemoDevice device, int rank, int ranks, const Env& env);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_DEMO_PLACE_H_
