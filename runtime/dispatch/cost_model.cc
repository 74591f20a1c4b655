#include "dispatch/cost_model.h"

#include <algorithm>

namespace allnorm {

LinkModel link_model(Target target) noexcept {
  // Measured between two H200 with 18 links of NVLink 4 (450 GB/s nominal), 2026-11.
  constexpr LinkModel kNvlink4 = {0.52, 0.74, 366};
  // Not measured: NVLink 5 has twice the nominal rate.
  constexpr LinkModel kNvlink5 = {0.52, 0.74, 732};
  // Not measured: these GPUs have no NVLink. PCIe 5.0 x16 is 63 GB/s nominal.
  constexpr LinkModel kPcie5 = {0.52, 1.5, 50};
  switch (target) {
    case Target::kSm100a:
    case Target::kSm103a: return kNvlink5;
    case Target::kSm120a: return kPcie5;
    case Target::kSm90a: return kNvlink4;
    // The simulator has no time of its own: AUTO chooses there as it does on the GPU that was measured.
    case Target::kHost: return kNvlink4;
  }
  return kNvlink4;
}

double estimate_microseconds(Strategy strategy, int world_size, std::int64_t tokens, std::int64_t row_bytes,
                             Transport transport, const LinkModel& link) noexcept {
  if (world_size == 1) return link.launch_microseconds;  // Nothing crosses a link.

  // In double: no product of sizes can overflow.
  const double peers = world_size - 1;
  const double rows = static_cast<double>(tokens);
  const std::int64_t owned = (tokens - 1) / world_size + 1;
  const double owned_rows = static_cast<double>(owned);

  double hops = 1;
  double row_transfers = peers * rows;  // Those that arrive; by unicast as many leave.
  if (strategy == Strategy::kTwoShot) {
    hops = 2;
    // In the scatter most arrives, at owners. In the broadcast a rank sends the rows that it owns,
    // and takes in those of the others.
    const double fan_out = transport == Transport::kMulticast ? 1 : peers;
    const double scatter = peers * owned_rows;
    const double broadcast = std::max(fan_out * owned_rows, rows - rows / world_size);
    row_transfers = scatter + broadcast;
  }
  const double bytes = row_transfers * static_cast<double>(row_bytes);
  return link.launch_microseconds + hops * link.latency_microseconds +
         bytes / (link.gigabytes_per_second * 1e3);  // GB/s are 1e3 bytes per microsecond.
}

}  // namespace allnorm
