// The symmetric memory of a group whose ranks are processes: each has its own, and maps that of all others.
#ifndef ALLNORM_COMM_GROUP_MEMORY_H_
#define ALLNORM_COMM_GROUP_MEMORY_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "allnorm/bootstrap.h"
#include "comm/descriptor_exchange.h"
#include "device/device.h"

namespace allnorm {

struct GroupMemory {
  std::vector<std::shared_ptr<DeviceMemory>> of_ranks;  ///< By rank, as mapped here; this rank's own among them.
  MemoryHandle::Kind kind = MemoryHandle::Kind::kDescriptor;
};

/// By fabric handles if every rank can make, export and map one, which is found out by doing it; else by descriptors,
/// if all ranks are on one host. Throws the same error on all ranks, with nothing left behind: kUnsupported (why
/// neither can be), kDriver, kPeer.
GroupMemory share_memory(Bootstrap& bootstrap, Device& device, std::size_t bytes, const ExchangePlace& place);

/// Gives all pages back, of all ranks; the addresses stay. No kernel may be running on any rank. Throws likewise.
void release_memory(Bootstrap& bootstrap, Device& device, GroupMemory& memory);
/// New pages, shared as before. Throws likewise; may then be tried again.
void renew_memory(Bootstrap& bootstrap, Device& device, std::size_t bytes, const ExchangePlace& place,
                  GroupMemory& memory);

}  // namespace allnorm

#endif  // ALLNORM_COMM_GROUP_MEMORY_H_
