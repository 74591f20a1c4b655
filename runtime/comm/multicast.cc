#include "comm/multicast.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "comm/vote.h"
#include "comm/workspace_impl.h"
#include "env/log.h"

namespace allnorm {
namespace {

std::nullptr_t refuse(const std::string& reason) {
  log::info("multicast was asked for and is not used, the ranks store to each peer: {}", reason);
  return nullptr;
}

/// What a rank hands over for whom only rank 0's counts. Throws kUnsupported.
Descriptor any_descriptor() {
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (file < 0) throw Error(ErrorCode::kUnsupported, fmt::format("/dev/null: {}", std::strerror(errno)));
  return Descriptor(file);
}

/// What `work` gives; null, with a line in the log, where there is no multicast.
std::unique_ptr<DeviceMemory> or_unicast(const std::function<std::unique_ptr<Multicast>()>& work) {
  try {
    std::unique_ptr<DeviceMemory> multicast = work();
    log::info("the ranks store by multicast");
    return multicast;
  } catch (const Error& error) {
    const bool without = error.code() == ErrorCode::kUnsupported || error.code() == ErrorCode::kDriver ||
                         error.code() == ErrorCode::kCompiler;
    if (!without) throw;
    return refuse(error.what());
  }
}

/// The test's vectors in a rank's symmetric memory, one a rank.
struct TestPlace {
  std::uint64_t offset = 0;
  std::size_t ranks = 0;
  std::size_t bytes() const noexcept { return ranks * kVectorBytes; }
  static constexpr std::size_t kVectorBytes = 16;
};

TestPlace test_place(const WorldOptions& options) {
  return {SymmetricLayout::of(options).one_shot.offset, options.devices.size()};
}

void clear(Device& device, const DeviceMemory& own, const TestPlace& place) {
  device.fill_words(static_cast<char*>(own.data()) + place.offset, 0, place.bytes());
}

/// By a kernel of this rank, which has ended when this returns.
void store(Context::Impl& context, Device& device, const DeviceMemory& multicast, int rank, const TestPlace& place) {
  const Spec spec = helper_spec(Operation::kTestMulticast, device.target(), static_cast<int>(place.ranks));
  const Plan& plan = context.plans().get(device, spec);
  KernelParams params{};
  params.rank = static_cast<std::uint32_t>(rank);
  params.one_shot.offset = place.offset;
  params.multicast = static_cast<char*>(multicast.data());
  const Stream stream = device.create_stream();
  try {
    plan.kernel->launch(1, &params, stream);
    device.synchronize(stream);
  } catch (...) {
    device.destroy_stream(stream);
    throw;
  }
  device.destroy_stream(stream);
}

/// After all ranks have stored. Throws kUnsupported.
void look(Device& device, const DeviceMemory& own, const TestPlace& place) {
  std::vector<std::array<std::uint32_t, 4>> vectors(place.ranks);
  device.copy_to_host(vectors.data(), static_cast<const char*>(own.data()) + place.offset, place.bytes());
  for (std::size_t rank = 0; rank < vectors.size(); rank++) {
    for (const std::uint32_t word : vectors[rank]) {
      if (word == allnorm_kernel::multicast_test_word(static_cast<std::uint32_t>(rank))) continue;
      throw Error(ErrorCode::kUnsupported, fmt::format("what rank {} stored by multicast has not arrived", rank));
    }
  }
}

/// Rank 0's, which it has made, at all other ranks. Of descriptors every rank gives one, whatever it is.
MemoryHandle hand_over(Bootstrap& bootstrap, const MemoryHandle& handle, MemoryHandle::Kind kind,
                       const ExchangePlace& place) {
  if (kind == MemoryHandle::Kind::kFabric) {
    return {kind, std::move(bootstrap.all_gather(handle.fabric).front()), Descriptor()};
  }
  std::vector<Descriptor> all = exchange_descriptors(bootstrap, handle.descriptor.get(), place);
  return {kind, {}, std::move(all.front())};
}

}  // namespace

bool asks_for_multicast(const WorldOptions& options, const Env& env) noexcept {
  return options.multicast || env.multicast;
}

std::unique_ptr<DeviceMemory> map_multicast(Context::Impl& context, const WorldOptions& options,
                                            std::span<DeviceMemory* const> of_ranks) {
  const Env& env = context.env();
  if (!asks_for_multicast(options, env)) return nullptr;
  if (env.multicast_forbidden) return refuse(env.multicast_forbidden_by + " forbids it");
  if (of_ranks.size() == 1) return refuse("a rank alone stores to nobody");
  return or_unicast([&] {
    std::vector<Device*> devices;
    for (const int ordinal : options.devices) devices.push_back(&context.device(ordinal));
    auto multicast = devices.front()->create_multicast(devices, SymmetricLayout::of(options).total_bytes,
                                                       static_cast<int>(devices.size()), std::nullopt);
    multicast->add();
    multicast->bind(of_ranks);
    multicast->map();
    const TestPlace place = test_place(options);
    for (std::size_t rank = 0; rank < devices.size(); rank++) clear(*devices[rank], *of_ranks[rank], place);
    for (std::size_t rank = 0; rank < devices.size(); rank++) {
      store(context, *devices[rank], *multicast, static_cast<int>(rank), place);
    }
    for (std::size_t rank = 0; rank < devices.size(); rank++) look(*devices[rank], *of_ranks[rank], place);
    return multicast;
  });
}

std::unique_ptr<DeviceMemory> share_multicast(Context::Impl& context, const WorldOptions& options, Bootstrap& bootstrap,
                                              Device& device, const GroupMemory& memory, const ExchangePlace& place) {
  if (!asks_for_multicast(options, context.env())) return nullptr;
  const std::vector<std::string> forbidden = bootstrap.all_gather(context.env().multicast_forbidden_by);
  for (std::size_t rank = 0; rank < forbidden.size(); rank++) {
    if (!forbidden[rank].empty()) return refuse(fmt::format("{} of rank {} forbids it", forbidden[rank], rank));
  }
  const int rank = bootstrap.rank();
  const int ranks = bootstrap.world_size();
  if (ranks == 1) return refuse("a rank alone stores to nobody");
  return or_unicast([&] {
    Device* const here[] = {&device};
    const std::size_t bytes = SymmetricLayout::of(options).total_bytes;
    std::unique_ptr<Multicast> multicast;
    MemoryHandle handle;
    do_together(bootstrap, "make a multicast object", [&] {
      if (rank != 0) {
        if (memory.kind == MemoryHandle::Kind::kDescriptor) handle.descriptor = any_descriptor();
        return;
      }
      multicast = device.create_multicast(here, bytes, ranks, memory.kind);
      handle = multicast->export_handle();
    });
    handle = hand_over(bootstrap, handle, memory.kind, place);
    do_together(bootstrap, "open the multicast object", [&] {
      if (rank != 0) multicast = device.import_multicast(handle, bytes, ranks);
    });
    do_together(bootstrap, "add its GPU to the multicast object", [&] { multicast->add(); });
    DeviceMemory& own = *memory.of_ranks[static_cast<std::size_t>(rank)];
    const TestPlace test = test_place(options);
    do_together(bootstrap, "bind its memory to the multicast object", [&] {
      DeviceMemory* const of_rank[] = {&own};
      multicast->bind(of_rank);
    });
    // The driver gives access when all have bound, and waits for a rank that has not: so only once all have said so.
    do_together(bootstrap, "map the multicast object", [&] {
      multicast->map();
      clear(device, own, test);
    });
    do_together(bootstrap, "store by multicast", [&] { store(context, device, *multicast, rank, test); });
    do_together(bootstrap, "find what was stored by multicast", [&] { look(device, own, test); });
    return multicast;
  });
}

}  // namespace allnorm
