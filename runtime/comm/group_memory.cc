#include "comm/group_memory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>
#include <utility>

#include "allnorm/error.h"
#include "comm/vote.h"
#include "env/log.h"

namespace allnorm {
namespace {

using Kind = MemoryHandle::Kind;

/// Names the host, which containers on it share: its name, and the number that its kernel took when it started.
std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  return fmt::format("{} ({})", name.data(), boot);
}

/// The boot number alone: containers of one host have names of their own.
std::string boot_of(const std::string& host) { return host.substr(host.rfind('(')); }

/// Two ranks on different hosts; empty if there are none.
std::string two_hosts(const std::vector<std::string>& hosts) {
  for (std::size_t rank = 1; rank < hosts.size(); rank++) {
    if (boot_of(hosts[rank]) != boot_of(hosts[0])) {
      return fmt::format("rank 0 is on host {} and rank {} on host {}", hosts[0], rank, hosts[rank]);
    }
  }
  return {};
}

/// Makes memory, or renews what is there, and lets each rank map that of all others.
class Sharing {
 public:
  Sharing(Bootstrap& bootstrap, Device& device, std::size_t bytes, GroupMemory& memory)
      : bootstrap_(bootstrap), device_(device), bytes_(bytes), memory_(memory) {
    memory_.of_ranks.resize(static_cast<std::size_t>(bootstrap.world_size()));
  }

  void by_fabric() {
    memory_.kind = Kind::kFabric;
    std::string handle;
    do_together(bootstrap_, "share memory by fabric handle", [&] { handle = make_own().fabric; });
    std::vector<std::string> handles = bootstrap_.all_gather(handle);
    do_together(bootstrap_, "map the others' memory by fabric handle", [&] {
      map([&](std::size_t rank) { return MemoryHandle{Kind::kFabric, std::move(handles[rank]), Descriptor()}; });
    });
  }

  void by_descriptor(const ExchangePlace& place) {
    memory_.kind = Kind::kDescriptor;
    MemoryHandle handle;
    do_together(bootstrap_, "share memory by file descriptor", [&] { handle = make_own(); });
    std::vector<Descriptor> descriptors = exchange_descriptors(bootstrap_, handle.descriptor.get(), place);
    do_together(bootstrap_, "map the others' memory", [&] {
      map([&](std::size_t rank) { return MemoryHandle{Kind::kDescriptor, {}, std::move(descriptors[rank])}; });
    });
  }

 private:
  MemoryHandle make_own() {
    std::shared_ptr<DeviceMemory>& own = memory_.of_ranks[static_cast<std::size_t>(bootstrap_.rank())];
    if (own == nullptr) {
      own = device_.allocate_shareable(bytes_, memory_.kind);
    } else {
      device_.renew_pages(*own);
    }
    return device_.export_memory(*own, memory_.kind);
  }

  template <typename HandleOf>
  void map(const HandleOf& handle_of) {
    for (std::size_t rank = 0; rank < memory_.of_ranks.size(); rank++) {
      if (static_cast<int>(rank) == bootstrap_.rank()) continue;
      try {
        std::shared_ptr<DeviceMemory>& of_rank = memory_.of_ranks[rank];
        if (of_rank == nullptr) {
          of_rank = device_.import_memory(handle_of(rank), bytes_);
        } else {
          device_.renew_pages(*of_rank, handle_of(rank));
        }
      } catch (const Error& error) {
        throw Error(error.code(), fmt::format("that of rank {}: {}", rank, error.what()));
      }
    }
  }

  Bootstrap& bootstrap_;
  Device& device_;
  std::size_t bytes_;
  GroupMemory& memory_;
};

}  // namespace

GroupMemory share_memory(Bootstrap& bootstrap, Device& device, std::size_t bytes, const ExchangePlace& place) {
  std::string no_fabric;
  GroupMemory memory;
  try {
    Sharing(bootstrap, device, bytes, memory).by_fabric();
    return memory;
  } catch (const Error& error) {
    // A group that is broken has no second way.
    if (error.code() == ErrorCode::kPeer) throw;
    no_fabric = error.what();
  }
  const std::string apart = two_hosts(bootstrap.all_gather(host_name()));
  // Not for want of a way to share it.
  if (!apart.empty() && no_fabric.find("CUDA_ERROR_OUT_OF_MEMORY") != std::string::npos) {
    throw Error(ErrorCode::kDriver, no_fabric);
  }
  if (!apart.empty()) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}, and between hosts memory is shared by fabric handles alone, but {}. Look at the IMEX "
                            "channels (/dev/nvidia-caps-imex-channels) and at nvidia-imex on every host",
                            apart, no_fabric));
  }
  log::debug("memory is shared by file descriptors, not by fabric handles: {}", no_fabric);
  memory = {};
  try {
    Sharing(bootstrap, device, bytes, memory).by_descriptor(place);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kPeer) throw;
    throw Error(error.code(), fmt::format("{}; and by fabric handle: {}", error.what(), no_fabric));
  }
  return memory;
}

void release_memory(Bootstrap& bootstrap, Device& device, GroupMemory& memory) {
  do_together(bootstrap, "give its memory back", [&] {
    for (const auto& of_rank : memory.of_ranks) device.release_pages(*of_rank);
  });
}

void renew_memory(Bootstrap& bootstrap, Device& device, std::size_t bytes, const ExchangePlace& place,
                  GroupMemory& memory) {
  // What an earlier try has left would keep pages that are needed now.
  release_memory(bootstrap, device, memory);
  Sharing sharing(bootstrap, device, bytes, memory);
  if (memory.kind == Kind::kFabric) {
    sharing.by_fabric();
  } else {
    sharing.by_descriptor(place);
  }
}

}  // namespace allnorm
