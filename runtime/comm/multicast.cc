#include "comm/multicast.h"

#include <string_view>

#include "env/log.h"

namespace allnorm {

std::unique_ptr<DeviceMemory> map_multicast(const WorldOptions& options, const Env& env, Device& device,
                                            std::span<DeviceMemory* const> of_ranks, std::size_t bytes) {
  if (!options.multicast && !env.multicast) return nullptr;
  const auto refuse = [](std::string_view reason) {
    log::info("multicast was asked for and is not used, the ranks store to each peer: {}", reason);
    return nullptr;
  };
  if (env.multicast_forbidden) return refuse(env.multicast_forbidden_by + " forbids it");
  if (of_ranks.size() == 1) return refuse("a rank alone stores to nobody");
  auto address = device.map_multicast(of_ranks, bytes);
  if (address == nullptr) return refuse("AllNorm has none on this device: " + device.name());
  log::info("the ranks store by multicast");
  return address;
}

}  // namespace allnorm
