// `allnorm doctor`: the driver, the GPUs, the links between them, and what their memory can do.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <map>

#include "allnorm/error.h"
#include "device/cuda/cuda_device.h"
#include "doctor.h"
#include "text.h"

namespace allnorm::tools {
namespace {

int attribute(const cuda::Driver& driver, CUdevice device, CUdevice_attribute which) {
  int value = 0;
  return driver.cuDeviceGetAttribute(&value, which, device) == CUDA_SUCCESS ? value : 0;
}

int link_attribute(const cuda::Driver& driver, CUdevice from, CUdevice to, CUdevice_P2PAttribute which) {
  int value = 0;
  return driver.cuDeviceGetP2PAttribute(&value, which, from, to) == CUDA_SUCCESS ? value : 0;
}

/// Free memory is known to a context only.
std::string describe_memory(const cuda::Driver& driver, CUdevice device) {
  std::size_t total = 0;
  driver.check(driver.cuDeviceTotalMem(&total, device), "cuDeviceTotalMem");
  CUcontext context = nullptr;
  driver.check(driver.cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
  std::size_t free = 0;
  CUresult result = CUDA_SUCCESS;
  try {
    const cuda::CurrentContext current(driver, context);
    result = driver.cuMemGetInfo(&free, &total);
  } catch (...) {
    driver.cuDevicePrimaryCtxRelease(device);
    throw;
  }
  driver.cuDevicePrimaryCtxRelease(device);
  driver.check(result, "cuMemGetInfo");
  return fmt::format("{} memory, {} free", format_bytes(total), format_bytes(free));
}

/// Throws Error; kUnsupported is a GPU that works and for which there are no kernels.
void examine_gpu(const cuda::Driver& driver, Gpu& gpu, Findings& findings) {
  const std::string topic = fmt::format("GPU {}", gpu.ordinal);
  driver.check(driver.cuDeviceGet(&gpu.handle, gpu.ordinal), "cuDeviceGet");
  std::array<char, 256> name{};
  driver.check(driver.cuDeviceGetName(name.data(), static_cast<int>(name.size()), gpu.handle), "cuDeviceGetName");
  gpu.name = name.data();
  const int major = attribute(driver, gpu.handle, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  const int minor = attribute(driver, gpu.handle, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  gpu.target = cuda::target_of(major, minor, gpu.name);
  findings.add(
      Status::kOk, topic,
      fmt::format("{}, compute capability {}.{} ({}), {} SMs, {}", gpu.name, major, minor, to_string(gpu.target),
                  attribute(driver, gpu.handle, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                  describe_memory(driver, gpu.handle)));
}

std::string list_gpus(const std::vector<int>& ordinals) { return fmt::format("{}", fmt::join(ordinals, ", ")); }

/// "multicast: supported by GPUs 0, 1; not by 2".
std::string describe_support(const cuda::Driver& driver, const std::vector<Gpu>& gpus, CUdevice_attribute which,
                             bool& all) {
  std::vector<int> yes;
  std::vector<int> no;
  for (const Gpu& gpu : gpus) (attribute(driver, gpu.handle, which) != 0 ? yes : no).push_back(gpu.ordinal);
  all = no.empty();
  if (no.empty()) return "supported";
  if (yes.empty()) return "not supported";
  return fmt::format("supported by GPU {}, not by {}", list_gpus(yes), list_gpus(no));
}

struct Link {
  bool access = false;
  bool atomics = false;
  int rank = 0;
  auto operator<=>(const Link&) const = default;
};

}  // namespace

std::shared_ptr<const cuda::Driver> examine_driver(const Env& env, Findings& findings) {
  try {
    auto driver = cuda::Driver::load(env.driver_path);
    findings.add(Status::kOk, "driver",
                 fmt::format("{}, for CUDA {}.{}", driver->path, driver->version / 1000, driver->version % 1000 / 10));
    return driver;
  } catch (const Error& error) {
    findings.add_error(Status::kFail, "driver", error.what());
    return nullptr;
  }
}

std::vector<Gpu> examine_gpus(const cuda::Driver& driver, Findings& findings) {
  int count = 0;
  driver.cuDeviceGetCount(&count);
  std::vector<Gpu> gpus;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    Gpu gpu;
    gpu.ordinal = ordinal;
    try {
      examine_gpu(driver, gpu, findings);
      gpus.push_back(gpu);
    } catch (const Error& error) {
      findings.add_error(Status::kWarn, fmt::format("GPU {}", ordinal), error.what());
    }
  }
  if (gpus.empty()) {
    findings.add(Status::kFail, "GPUs", count == 0 ? "none is visible" : "none that AllNorm can use",
                 "look at `nvidia-smi` and at CUDA_VISIBLE_DEVICES");
  }
  return gpus;
}

void examine_links(const cuda::Driver& driver, const std::vector<Gpu>& gpus, Findings& findings) {
  if (gpus.size() == 1) findings.add(Status::kInfo, "links", "one GPU: ranks can only be virtual ones, which share it");
  // Pairs with equal links share a line: a machine of 8 GPUs has 28 pairs.
  std::map<Link, std::vector<std::string>> pairs;
  for (std::size_t a = 0; a < gpus.size(); ++a) {
    for (std::size_t b = a + 1; b < gpus.size(); ++b) {
      const CUdevice x = gpus[a].handle;
      const CUdevice y = gpus[b].handle;
      int there = 0;
      int back = 0;
      driver.cuDeviceCanAccessPeer(&there, x, y);
      driver.cuDeviceCanAccessPeer(&back, y, x);
      const Link link = {there != 0 && back != 0,
                         link_attribute(driver, x, y, CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED) != 0,
                         link_attribute(driver, x, y, CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK)};
      pairs[link].push_back(fmt::format("{}-{}", gpus[a].ordinal, gpus[b].ordinal));
    }
  }
  for (const auto& [link, names] : pairs) {
    const std::string which = pairs.size() == 1 && gpus.size() > 2 ? fmt::format("all pairs of {} GPUs", gpus.size())
                                                                   : fmt::format("{}", fmt::join(names, ", "));
    if (!link.access) {
      findings.add(Status::kWarn, "links", fmt::format("{}: no peer access", which),
                   "these GPUs cannot be in one world; look at `nvidia-smi topo -p2p w`");
      continue;
    }
    // Without NVLink, peer access goes over PCIe, and has no native atomics.
    findings.add(link.atomics ? Status::kOk : Status::kWarn, "links",
                 fmt::format("{}: peer access, {}native atomics, performance rank {}", which, link.atomics ? "" : "no ",
                             link.rank),
                 link.atomics ? "" : "this is PCIe, not NVLink: calls will be slow; look at `nvidia-smi topo -m`");
  }
}

void examine_memory_features(const cuda::Driver& driver, const std::vector<Gpu>& gpus, const Env& env,
                             Findings& findings) {
  if (gpus.empty()) return;
  bool all = false;
  std::string text =
      describe_support(driver, gpus, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, all);
  findings.add(all ? Status::kOk : Status::kWarn, "memory shared by file descriptors", text,
               all ? "" : "needed for ranks in several processes of a host; a container may forbid it");
  text = describe_support(driver, gpus, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED, all);
  findings.add(Status::kInfo, "memory shared by fabric handles", text);
  text = describe_support(driver, gpus, CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED, all);
  if (env.multicast_forbidden) {
    findings.add(env.multicast ? Status::kWarn : Status::kInfo, "multicast",
                 fmt::format("{} by the hardware, forbidden by {}", text, env.multicast_forbidden_by),
                 env.multicast ? "ALLNORM_MULTICAST=1 has no effect: unset one of the two" : "");
  } else {
    findings.add(env.multicast && !all ? Status::kWarn : Status::kInfo, "multicast",
                 fmt::format("{} by the hardware, {}", text, env.multicast ? "asked for" : "not asked for"),
                 env.multicast && !all ? "unset ALLNORM_MULTICAST" : "");
  }
}

}  // namespace allnorm::tools
