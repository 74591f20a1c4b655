// Whether the ranks of a World store by multicast, and the address that they then store to.
#ifndef ALLNORM_COMM_MULTICAST_H_
#define ALLNORM_COMM_MULTICAST_H_

#include <cstddef>
#include <memory>
#include <span>

#include "allnorm/workspace.h"
#include "device/device.h"
#include "env/env.h"

namespace allnorm {

/// Stands for the same place in the symmetric memory of each rank. Null where nobody asked for it (the options and
/// ALLNORM_MULTICAST can), where the site forbids it, or where there is none; if somebody asked, the log says why.
std::unique_ptr<DeviceMemory> map_multicast(const WorldOptions& options, const Env& env, Device& device,
                                            std::span<DeviceMemory* const> of_ranks, std::size_t bytes);

}  // namespace allnorm

#endif  // ALLNORM_COMM_MULTICAST_H_
