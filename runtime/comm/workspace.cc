#include "allnorm/workspace.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>
#include <utility>

#include "comm/compared_call.h"
#include "comm/workspace_impl.h"

namespace allnorm {
namespace {

using allnorm_kernel::Control;
using allnorm_kernel::kAbortedByHost;
using allnorm_kernel::kBuffers;
using allnorm_kernel::Phase;
using allnorm_kernel::Report;
using allnorm_kernel::RowState;

constexpr double kNanosecondsPerSecond = 1e9;
/// Eleven days: the kernels count a deadline in 32 bits of about a millisecond.
constexpr double kMaxTimeoutSeconds = 1e6;

TokenCapacity capacity_of(const WorldOptions& options) {
  constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
  if (options.devices.size() == 1) return {kUnlimited, kUnlimited};  // a world of one needs no buffers
  return {options.max_tokens_one_shot, options.max_tokens_two_shot};
}

DispatchFacts facts_of(const RankPlace& place, const WorldOptions& options, Transport transport) {
  DispatchFacts facts;
  facts.world_size = static_cast<int>(options.devices.size());
  facts.transport = transport;
  facts.multiprocessors = std::max(1, place.device->multiprocessors() / place.ranks_on_device);
  facts.link = link_model(place.first_device->target());
  return facts;
}

const char* phase_name(std::uint32_t phase) {
  switch (static_cast<Phase>(phase)) {
    case Phase::kScatter: return "scatter";
    case Phase::kBroadcast: return "broadcast";
    case Phase::kCompare:
    case Phase::kDiffers: return "comparison";
    default: return "one-shot";
  }
}

bool has_arrived(const Report& report) noexcept {
  return report.check ==
         allnorm_kernel::check_of(report.rank, report.waited_for, report.phase, report.row, report.epoch);
}

/// Who started it: ranks that gave up may have waited for one that itself had given up, at about the same time.
std::uint32_t first_cause(const Control& control, std::uint32_t rank) {
  for (int steps = 0; steps < kMaxWorldSize; steps++) {
    const Report& report = control.reports[rank];
    if (!has_arrived(report) || report.waited_for >= kMaxWorldSize) break;
    if (!has_arrived(control.reports[report.waited_for])) break;
    rank = report.waited_for;
  }
  return rank;
}

WorkspaceStatus timed_out(const Report& report, std::uint32_t rank) {
  WorkspaceStatus status;
  status.healthy = false;
  status.code = ErrorCode::kTimeout;
  status.rank = static_cast<int>(rank);
  if (!has_arrived(report)) {
    status.message = fmt::format("rank {} gave up waiting for a peer; its report has not arrived yet", rank);
    return status;
  }
  status.waited_for = static_cast<int>(report.waited_for);
  if (static_cast<Phase>(report.phase) == Phase::kCompare) {
    status.phase = phase_name(report.phase);
    status.epoch = report.epoch;
    status.message = fmt::format(
        "rank {} gave up waiting for rank {} to make call {} (counted from 1; checked mode). Outputs since then are "
        "undefined. Look at what rank {} does: has it made as many calls? If it lives, World::reset() starts anew; if "
        "not, make a new World.",
        status.rank, status.waited_for, status.epoch + 1, status.waited_for);
    return status;
  }
  status.row = static_cast<std::int64_t>(report.row);
  status.phase = phase_name(report.phase);
  status.strategy = static_cast<Phase>(report.phase) == Phase::kOneShot ? Strategy::kOneShot : Strategy::kTwoShot;
  status.epoch = report.epoch;
  status.message = fmt::format(
      "rank {} gave up waiting for rank {} (row {}, {} phase, strategy {}, epoch {}). Outputs since then are "
      "undefined. "
      "Look at what rank {} does: did it make the same calls with the same tokens, hidden_dim, dtype, quant and "
      "strategy? If it lives, World::reset() starts anew; if not, make a new World.",
      status.rank, status.waited_for, status.row, status.phase, to_string(status.strategy), status.epoch,
      status.waited_for);
  return status;
}

/// The first two ranks whose calls differ, if any do.
std::optional<WorkspaceStatus> difference(const Control& control) {
  WorkspaceStatus status;
  status.healthy = false;
  status.code = ErrorCode::kMismatch;
  status.rank = status.waited_for = kMaxWorldSize;
  for (const Report& report : control.reports) {
    if (!has_arrived(report) || static_cast<Phase>(report.phase) != Phase::kDiffers) continue;
    const auto [first, second] = std::minmax({static_cast<int>(report.rank), static_cast<int>(report.waited_for)});
    if (first < 0 || first == second || second >= kMaxWorldSize ||
        std::pair(first, second) >= std::pair(status.rank, status.waited_for))
      continue;
    status.rank = first;
    status.waited_for = second;
    status.epoch = report.epoch;
  }
  if (status.rank == kMaxWorldSize) return std::nullopt;
  status.phase = phase_name(static_cast<std::uint32_t>(Phase::kDiffers));
  status.message = fmt::format(
      "the ranks' calls differ: in call {} (counted from 1) {}. Outputs since then are undefined. All ranks must make "
      "the same calls in the same order; then World::reset() starts anew.",
      status.epoch + 1, describe_difference(control, status.epoch, status.rank, status.waited_for));
  return status;
}

std::uint64_t to_nanoseconds(double seconds) {
  if (!(seconds >= 0.0) || seconds > kMaxTimeoutSeconds) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("timeout_seconds: {} was given; 0 (wait for ever) to {} is allowed", seconds, kMaxTimeoutSeconds));
  }
  // A tiny limit must not become "none".
  return seconds == 0.0 ? 0 : std::max<std::uint64_t>(1, static_cast<std::uint64_t>(seconds * kNanosecondsPerSecond));
}

}  // namespace

SymmetricLayout SymmetricLayout::of(const WorldOptions& options) {
  SymmetricLayout layout;
  const std::uint64_t ranks = options.devices.size();
  const auto one_shot_rows = static_cast<std::uint64_t>(options.max_tokens_one_shot);
  const auto two_shot_rows = static_cast<std::uint64_t>(options.max_tokens_two_shot);
  const std::uint64_t owned_rows = ranks == 0 ? 0 : (two_shot_rows + ranks - 1) / ranks;
  constexpr std::uint64_t kAlignment = 256;
  layout.slot_bytes = static_cast<std::uint32_t>(options.max_row_bytes);
  layout.total_bytes = (sizeof(Control) + kAlignment - 1) / kAlignment * kAlignment;
  const auto append = [&](std::uint64_t rows, std::uint64_t sources) {
    const allnorm_kernel::Region region = {layout.total_bytes, rows * layout.slot_bytes};
    if (ranks > 1) layout.total_bytes += kBuffers * sources * region.source_bytes;
    return region;
  };
  layout.one_shot = append(one_shot_rows, ranks);
  layout.scatter = append(owned_rows, ranks);
  layout.broadcast = append(two_shot_rows, 1);
  return layout;
}

Workspace::Impl::Impl(Context::Impl& shared_context, const WorldOptions& world_options, const RankPlace& place,
                      std::optional<Table> table, std::shared_ptr<DeviceMemory> own_memory,
                      const DeviceMemory* multicast)
    : context(shared_context),
      options(world_options),
      rank(place.rank),
      world_size(static_cast<int>(world_options.devices.size())),
      ranks_on_device(place.ranks_on_device),
      layout(SymmetricLayout::of(world_options)),
      capacity(capacity_of(world_options)),
      symmetric(std::move(own_memory)),
      timeout_nanoseconds(to_nanoseconds(options.timeout_seconds.value_or(shared_context.env().timeout_seconds))),
      device_(*place.device),
      dispatcher_(std::move(table),
                  facts_of(place, world_options, multicast != nullptr ? Transport::kMulticast : Transport::kUnicast)) {
  states = device_.allocate(state_bytes());
  params.rank = static_cast<std::uint32_t>(rank);
  params.slot_bytes = layout.slot_bytes;
  params.one_shot = layout.one_shot;
  params.scatter = layout.scatter;
  params.broadcast = layout.broadcast;
  params.multicast = multicast != nullptr ? static_cast<char*>(multicast->data()) : nullptr;
  if (world_size > 1 && (options.checked || context.env().checked)) {
    comparison_ = &context.plans().get(device_, helper_spec(Operation::kCompareCalls, device_.target(), world_size));
  }
  renew();
}

void Workspace::Impl::set_memory_of(std::size_t of, const DeviceMemory& memory) noexcept {
  params.symmetric[of] = static_cast<char*>(memory.data());
  if (world_size != 2) return;
  const bool is_own = of == static_cast<std::size_t>(rank);
  const std::size_t source = is_own ? 1 - of : static_cast<std::size_t>(rank);
  char* slots = params.symmetric[of] + layout.one_shot.offset + source * layout.one_shot.source_bytes;
  (is_own ? params.own_slots : params.peer_slots) = slots;
}

RowState* Workspace::Impl::one_shot_states() const noexcept { return static_cast<RowState*>(states->data()); }

std::size_t Workspace::Impl::state_bytes() const noexcept {
  return static_cast<std::size_t>(options.max_tokens_one_shot + options.max_tokens_two_shot + 1) * sizeof(RowState);
}

void Workspace::Impl::renew() {
  auto* base = static_cast<char*>(symmetric->data());
  device_.fill_words(base + layout.one_shot.offset, allnorm_kernel::kSentinel,
                     layout.total_bytes - layout.one_shot.offset);
  device_.fill_words(states->data(), 0, state_bytes());
  Control control{};
  control.timeout_nanoseconds = timeout_nanoseconds;
  device_.copy_to_device(base, &control, sizeof(control));
}

Workspace::Workspace(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Workspace::~Workspace() = default;

int Workspace::rank() const noexcept { return impl_->rank; }
int Workspace::world_size() const noexcept { return impl_->world_size; }
int Workspace::device() const noexcept { return impl_->device().ordinal(); }
bool Workspace::uses_multicast() const noexcept { return impl_->transport() == Transport::kMulticast; }

std::int64_t Workspace::max_tokens(Strategy strategy, int hidden_dim, DataType dtype) const noexcept {
  const std::int64_t row_bytes = static_cast<std::int64_t>(hidden_dim) * static_cast<std::int64_t>(size_of(dtype));
  if (impl_->world_size > 1 && row_bytes > impl_->options.max_row_bytes) return 0;
  const TokenCapacity& capacity = impl_->capacity;
  switch (strategy) {
    case Strategy::kOneShot: return capacity.one_shot;
    case Strategy::kTwoShot: return capacity.two_shot;
    default: return std::max(capacity.one_shot, capacity.two_shot);
  }
}

std::int64_t Workspace::required_bytes(const WorldOptions& options) {
  check_options(options);
  return static_cast<std::int64_t>(SymmetricLayout::of(options).total_bytes);
}

std::int64_t Workspace::required_bytes(const WorldOptions& options, int world_size) {
  if (world_size < 1 || world_size > kMaxWorldSize) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("world_size: {} was given; 1 to {} is allowed", world_size, kMaxWorldSize));
  }
  WorldOptions of_group = options;
  of_group.devices.assign(static_cast<std::size_t>(world_size), 0);
  check_sizes(of_group);
  return static_cast<std::int64_t>(SymmetricLayout::of(of_group).total_bytes);
}

WorkspaceStatus Workspace::status() const {
  if (impl_->suspended) {
    WorkspaceStatus status;
    status.message = "suspended: World::resume() brings its memory back";
    return status;
  }
  Control control{};
  impl_->device().copy_to_host(&control, impl_->symmetric->data(), sizeof(control));
  if (control.poison == 0) {
    WorkspaceStatus status;
    status.message = "healthy";
    return status;
  }
  if (control.poison == kAbortedByHost) {
    WorkspaceStatus status;
    status.healthy = false;
    status.code = ErrorCode::kAborted;
    status.message =
        "abort() ended the calls of this World. Outputs since then are undefined; World::reset() starts anew.";
    return status;
  }
  if (const auto status = difference(control)) return *status;
  const std::uint32_t rank = first_cause(control, (control.poison - 1) % allnorm_kernel::kMaxRanks);
  return timed_out(control.reports[rank], rank);
}

void Workspace::abort() {
  if (impl_->suspended) return;
  // This rank's own first: a peer may be out of reach, and then so are some others, but not all.
  std::exception_ptr unreachable;
  for (int i = 0; i < impl_->world_size; i++) {
    const int rank = (impl_->rank + i) % impl_->world_size;
    auto* peer = reinterpret_cast<Control*>(impl_->params.symmetric[rank]);
    try {
      std::uint32_t poison = 0;
      impl_->device().copy_to_host(&poison, &peer->poison, sizeof(poison));
      // A report that is there already says more.
      if (poison == 0) impl_->device().copy_to_device(&peer->poison, &kAbortedByHost, sizeof(kAbortedByHost));
    } catch (const Error&) {
      if (!unreachable) unreachable = std::current_exception();
    }
  }
  if (unreachable) std::rethrow_exception(unreachable);
}

void Workspace::set_timeout(double seconds) {
  impl_->timeout_nanoseconds = to_nanoseconds(seconds);
  if (impl_->suspended) return;  // resume() sets it
  auto* control = static_cast<Control*>(impl_->symmetric->data());
  impl_->device().copy_to_device(&control->timeout_nanoseconds, &impl_->timeout_nanoseconds,
                                 sizeof(impl_->timeout_nanoseconds));
}

}  // namespace allnorm
