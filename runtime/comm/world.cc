// World: what both kinds do, and the one with all ranks in one process.
#include <fmt/format.h>

#include <algorithm>

#include "comm/multicast.h"
#include "comm/vote.h"
#include "comm/world_impl.h"

namespace allnorm {
namespace {

constexpr std::int64_t kMaxRowBytes = std::int64_t{kMaxHiddenDim} * 4;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void check_tokens(const char* name, std::int64_t tokens) {
  if (tokens < 0 || tokens > kMaxCallTokens) {
    refuse(fmt::format("{}: {} was given; 0 to {} is allowed", name, tokens, kMaxCallTokens));
  }
}

/// Each rank's, which all ranks can store into.
std::vector<std::unique_ptr<DeviceMemory>> allocate_symmetric(Context::Impl& context, const WorldOptions& options) {
  std::vector<Device*> devices;
  for (const int ordinal : options.devices) devices.push_back(&context.device(ordinal));
  std::vector<std::unique_ptr<DeviceMemory>> memory;
  for (Device* device : devices) {
    memory.push_back(device->allocate_symmetric(SymmetricLayout::of(options).total_bytes, devices));
  }
  return memory;
}

}  // namespace

void check_options(const WorldOptions& options) {
  const std::size_t ranks = options.devices.size();
  if (ranks == 0 || ranks > kMaxWorldSize) {
    refuse(fmt::format("devices: {} ranks were given; 1 to {} are allowed", ranks, kMaxWorldSize));
  }
  for (const int device : options.devices) {
    const auto count = std::count(options.devices.begin(), options.devices.end(), device);
    if (count > kMaxVirtualRanks) {
      refuse(fmt::format("devices: GPU {} was given {} times; at most {} virtual ranks fit on a GPU", device, count,
                         kMaxVirtualRanks));
    }
  }
  check_sizes(options);
}

void check_sizes(const WorldOptions& options) {
  check_tokens("max_tokens_one_shot", options.max_tokens_one_shot);
  check_tokens("max_tokens_two_shot", options.max_tokens_two_shot);
  if (options.devices.size() == 1) return;  // no buffers
  if (options.max_row_bytes <= 0 || options.max_row_bytes > kMaxRowBytes || options.max_row_bytes % 16 != 0) {
    refuse(
        fmt::format("max_row_bytes: {} was given; a multiple of 16 up to {} is allowed (hidden_dim times the size of "
                    "an element)",
                    options.max_row_bytes, kMaxRowBytes));
  }
  if (options.max_tokens_one_shot == 0 && options.max_tokens_two_shot == 0) {
    refuse("max_tokens_one_shot, max_tokens_two_shot: both are 0; one must be at least 1");
  }
}

World::Impl::Impl(Context::Impl& context, const WorldOptions& options)
    : size_(static_cast<int>(options.devices.size())) {
  check_options(options);
  Device& first = context.device(options.devices.front());
  const std::optional<Table> table = context.table_for(first.name());
  std::vector<std::unique_ptr<DeviceMemory>> symmetric = allocate_symmetric(context, options);
  std::vector<DeviceMemory*> of_ranks;
  for (const auto& memory : symmetric) of_ranks.push_back(memory.get());
  multicast_ = map_multicast(context, options, of_ranks);
  for (std::size_t rank = 0; rank < symmetric.size(); rank++) {
    const int device = options.devices[rank];
    RankPlace place;
    place.rank = static_cast<int>(rank);
    place.device = &context.device(device);
    place.first_device = &first;
    place.ranks_on_device = static_cast<int>(std::count(options.devices.begin(), options.devices.end(), device));
    ranks_.push_back(std::make_unique<Workspace>(std::make_unique<Workspace::Impl>(
        context, options, place, table, std::move(symmetric[rank]), multicast_.get())));
  }
  for (const auto& rank : ranks_) {
    for (std::size_t peer = 0; peer < ranks_.size(); peer++) {
      rank->impl().set_memory_of(peer, *ranks_[peer]->impl().symmetric);
    }
  }
}

World::Impl::~Impl() {
  for (const auto& rank : ranks_) {
    try {
      rank->impl().device().synchronize();
    } catch (...) {
      // A broken GPU has nothing to wait for, and a destructor nobody to tell; the others are still waited for.
    }
  }
}

void World::Impl::synchronize() {
  for (const auto& rank : ranks_) rank->impl().device().synchronize();
}

void World::Impl::renew() {
  for (const auto& rank : ranks_) rank->impl().renew();
}

void World::Impl::reset() {
  if (ranks_.front()->impl().suspended) return resume();
  if (bootstrap_ == nullptr) {
    ranks_.front()->abort();
    synchronize();
    renew();
    return;
  }
  // No rank renews while another's kernel may still store into its memory, and none calls before all have renewed.
  do_together(*bootstrap_, "end its calls", [&] {
    ranks_.front()->abort();
    synchronize();
  });
  do_together(*bootstrap_, "renew its workspace", [&] { renew(); });
}

void World::Impl::suspend() {
  if (multicast_ != nullptr) {
    throw Error(ErrorCode::kUnsupported, "suspend: a World that stores by multicast cannot give its memory back");
  }
  const auto mark = [&] {
    for (const auto& rank : ranks_) rank->impl().suspended = true;
  };
  // Marked before the first page goes: what fails on the way has nothing to call with, and resume() can begin anew.
  if (bootstrap_ == nullptr) {
    synchronize();
    mark();
    for (const auto& rank : ranks_) rank->impl().device().release_pages(*rank->impl().symmetric);
  } else {
    do_together(*bootstrap_, "end its calls", [&] { synchronize(); });
    mark();
    release_memory(*bootstrap_, ranks_.front()->impl().device(), group_);
  }
}

void World::Impl::resume() {
  if (!ranks_.front()->impl().suspended) return;
  if (bootstrap_ == nullptr) {
    for (const auto& rank : ranks_) rank->impl().device().renew_pages(*rank->impl().symmetric);
    renew();
  } else {
    const Workspace::Impl& own = ranks_.front()->impl();
    renew_memory(*bootstrap_, own.device(), own.layout.total_bytes, exchange_place(), group_);
    do_together(*bootstrap_, "renew its workspace", [&] { renew(); });
  }
  for (const auto& rank : ranks_) rank->impl().suspended = false;
}

World::World(Context& context, const WorldOptions& options) : impl_(std::make_unique<Impl>(context.impl(), options)) {}
World::~World() = default;

int World::size() const noexcept { return impl_->size(); }

Workspace& World::rank(int rank) {
  const int first = impl_->first_rank();
  const int end = first + static_cast<int>(impl_->ranks().size());
  if (rank < first || rank >= end) {
    const std::string allowed = end - first == 1 && size() > 1
                                    ? fmt::format("{}, this process's own, is allowed", first)
                                    : fmt::format("0 to {} is allowed", size() - 1);
    throw Error(ErrorCode::kInvalidArgument, fmt::format("rank: {} was given; {}", rank, allowed));
  }
  return *impl_->ranks()[static_cast<std::size_t>(rank - first)];
}

Workspace& World::own() noexcept { return *impl_->ranks().front(); }

void World::reset() { impl_->reset(); }
void World::suspend() { impl_->suspend(); }
void World::resume() { impl_->resume(); }

}  // namespace allnorm
