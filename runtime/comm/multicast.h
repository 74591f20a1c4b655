// Whether the ranks of a World store by multicast, and the address that they then store to.
//
// Off unless the options or ALLNORM_MULTICAST ask for it, and where the site forbids it. Where it is asked for and
// cannot be, all ranks do without, together, and the log says why (info). What decides in the end is a test: each rank
// stores something by multicast, and all look for it.
#ifndef ALLNORM_COMM_MULTICAST_H_
#define ALLNORM_COMM_MULTICAST_H_

#include <memory>
#include <span>

#include "allnorm/bootstrap.h"
#include "allnorm/workspace.h"
#include "api/context_impl.h"
#include "comm/group_memory.h"

namespace allnorm {

bool asks_for_multicast(const WorldOptions& options, const Env& env) noexcept;

/// For a World whose ranks are all in this process; `of_ranks` is their symmetric memory, whose contents are lost. Null
/// where there is no multicast. Throws kCacheMiss (of the kernel that tests it).
std::unique_ptr<DeviceMemory> map_multicast(Context::Impl& context, const WorldOptions& options,
                                            std::span<DeviceMemory* const> of_ranks);

/// For one rank of a group; all do this together. `options.devices` has an entry a rank. Throws kCacheMiss, kPeer.
std::unique_ptr<DeviceMemory> share_multicast(Context::Impl& context, const WorldOptions& options, Bootstrap& bootstrap,
                                              Device& device, const GroupMemory& memory, const ExchangePlace& place);

}  // namespace allnorm

#endif  // ALLNORM_COMM_MULTICAST_H_
