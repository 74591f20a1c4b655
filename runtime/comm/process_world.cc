// World over a Bootstrap: each rank a process with a GPU of its own.
#include <fmt/format.h>

#include "allnorm/version.h"
#include "comm/group_memory.h"
#include "comm/multicast.h"
#include "comm/vote.h"
#include "comm/world_impl.h"
#include "dispatch/table_text.h"
#include "env/log.h"

namespace allnorm {
namespace {

constexpr std::chrono::seconds kExchangeTimeout(60);

void check_places(const WorldOptions& options) {
  if (options.devices.empty()) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("devices: {} were given; with a Bootstrap the GPU of this rank is an argument of its own, and "
                  "devices stays empty",
                  options.devices.size()));
}

/// Two ranks on one GPU would wait for each other in turns of the GPU's time slices.
void check_own_gpus(Bootstrap& bootstrap, const Device& device) {
  const std::vector<std::string> all = bootstrap.all_gather(device.identity());
  for (std::size_t rank = 0; rank < all.size(); rank++) {
    for (std::size_t other = rank + 1; other < all.size(); other++) {
      if (all[rank] != all[other]) continue;
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("device: rank {} and rank {} were given the same GPU; each process needs one of its own "
                              "(several ranks of one process may share a GPU)",
                              rank, other));
    }
  }
}

/// What decides how a call runs must be the same on all ranks, or they would wait for each other in vain.
void check_all_agree(Bootstrap& bootstrap, Context::Impl& context, const Device& device, const WorldOptions& options) {
  check_agreement(bootstrap, "version of AllNorm", ALLNORM_VERSION_STRING);
  check_agreement(bootstrap, "kernel sources", context.compiler().sources().digest());
  check_agreement(bootstrap, "device",
                  fmt::format("{} with {} multiprocessors", device.name(), device.multiprocessors()));
  check_agreement(bootstrap, "timeout_seconds",
                  fmt::format("{}", options.timeout_seconds.value_or(context.env().timeout_seconds)));
  check_agreement(bootstrap, "multicast", asks_for_multicast(options, context.env()) ? "true" : "false");
  check_agreement(bootstrap, "checked", options.checked || context.env().checked ? "true" : "false");
  check_agreement(
      bootstrap, "max_row_bytes, max_tokens_one_shot, max_tokens_two_shot",
      fmt::format("{}, {}, {}", options.max_row_bytes, options.max_tokens_one_shot, options.max_tokens_two_shot));
}

/// Rank 0's, whatever this rank finds: a table may lie on one host and not on another.
std::optional<Table> table_of_rank_0(Bootstrap& bootstrap, Context::Impl& context, const Device& device) {
  std::string text;
  do_together(bootstrap, "find its tuned table", [&] {
    if (bootstrap.rank() != 0) return;
    if (const auto table = context.table_for(device.name())) text = to_json(parts_of(*table));
  });
  text = from_rank_0(bootstrap, text);
  std::optional<Table> table;
  do_together(bootstrap, "read the tuned table of rank 0", [&] {
    if (!text.empty()) table = Table::parse(text, "the tuned table of rank 0");
  });
  return table;
}

}  // namespace

World::Impl::Impl(Context::Impl& context, Bootstrap& bootstrap, int device_number, const WorldOptions& given)
    : size_(bootstrap.world_size()), first_rank_(bootstrap.rank()), bootstrap_(&bootstrap) {
  check_place(bootstrap);
  WorldOptions options = given;
  Device* device = nullptr;
  do_together(bootstrap, "begin", [&] {
    check_places(given);
    options.devices.assign(static_cast<std::size_t>(size_), device_number);  // one a rank: here, they are only counted
    check_sizes(options);
    device = &context.device(device_number, "device");
  });
  check_own_gpus(bootstrap, *device);
  check_all_agree(bootstrap, context, *device, options);
  std::optional<Table> table = table_of_rank_0(bootstrap, context, *device);
  meeting_dir_ = bootstrap.host_directory();
  if (meeting_dir_.empty()) meeting_dir_ = context.env().meeting_dir;
  group_ = share_memory(bootstrap, *device, SymmetricLayout::of(options).total_bytes, exchange_place());
  multicast_ = share_multicast(context, options, bootstrap, *device, group_, exchange_place());
  // The last step: whoever leaves it may call, and finds every rank's buffers empty.
  do_together(bootstrap, "prepare its workspace", [&] {
    const auto& of_ranks = group_.of_ranks;
    RankPlace place;
    place.rank = first_rank_;
    place.device = place.first_device = device;
    ranks_.push_back(std::make_unique<Workspace>(std::make_unique<Workspace::Impl>(
        context, options, place, std::move(table), of_ranks[static_cast<std::size_t>(first_rank_)], multicast_.get())));
    Workspace::Impl& workspace = ranks_.front()->impl();
    for (std::size_t rank = 0; rank < of_ranks.size(); rank++) {
      workspace.set_memory_of(rank, *of_ranks[rank]);
    }
  });
  log::info("rank {} of {}: memory is shared by {}", first_rank_, size_,
            group_.kind == MemoryHandle::Kind::kFabric ? "fabric handle" : "file descriptor");
}

ExchangePlace World::Impl::exchange_place() const { return {meeting_dir_, kExchangeTimeout}; }

World::World(Context& context, Bootstrap& bootstrap, int device, const WorldOptions& options)
    : impl_(std::make_unique<Impl>(context.impl(), bootstrap, device, options)) {}

}  // namespace allnorm
