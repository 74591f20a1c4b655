// What a Workspace is inside: the layout of the symmetric memory, and a rank's share of the World.
#ifndef ALLNORM_COMM_WORKSPACE_IMPL_H_
#define ALLNORM_COMM_WORKSPACE_IMPL_H_

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "allnorm/workspace.h"
#include "api/context_impl.h"
#include "comm/address_cache.h"
#include "comm/plan_cache.h"
#include "device/device.h"
#include "dispatch/dispatcher.h"
#include "kernels_src/params.cuh"

namespace allnorm {

using KernelParams = allnorm_kernel::ParamsFor<kMaxWorldSize>;

/// Offsets and sizes in a rank's symmetric memory. In each of the three buffers a row has a slot a rank in the one-shot
/// region; a slot a rank in the scatter region of its owner; and one slot in the broadcast region. Nothing depends on a
/// call's tokens, hidden_dim or dtype (design, section 4, rule 4).
struct SymmetricLayout {
  std::uint32_t slot_bytes = 0;
  allnorm_kernel::Region one_shot{};
  allnorm_kernel::Region scatter{};
  allnorm_kernel::Region broadcast{};
  std::uint64_t total_bytes = 0;

  static SymmetricLayout of(const WorldOptions& options);
};

/// Throws kInvalidArgument. Whether there are such GPUs, and the timeout, is seen elsewhere.
void check_options(const WorldOptions& options);
/// The same, but for the devices, of which there is one a rank.
void check_sizes(const WorldOptions& options);

/// Which rank it is, and what runs it.
struct RankPlace {
  int rank = 0;
  Device* device = nullptr;
  Device* first_device = nullptr;  ///< Rank 0's, or one like it: all ranks dispatch alike.
  int ranks_on_device = 1;         ///< More than one: virtual ranks.
};

class Workspace::Impl {
 public:
  /// `table`: the same for all ranks. `multicast` stands for the symmetric memory of all ranks, or is null.
  Impl(Context::Impl& context, const WorldOptions& options, const RankPlace& place, std::optional<Table> table,
       std::shared_ptr<DeviceMemory> symmetric, const DeviceMemory* multicast);

  /// Sentinels everywhere, state and control zeroed, the timeout kept. No kernel may be running.
  void renew();

  Device& device() const noexcept { return device_; }
  const Dispatcher& dispatcher() const noexcept { return dispatcher_; }
  /// For tests and the tuner: every call uses it, whatever the dispatcher says.
  void force_geometry(std::optional<Geometry> geometry) noexcept { forced_geometry_ = geometry; }
  const std::optional<Geometry>& forced_geometry() const noexcept { return forced_geometry_; }
  /// For tests: every launch has that many more clusters, which find no row or are not resident.
  void force_extra_clusters(unsigned extra) noexcept { extra_clusters_ = extra; }
  unsigned extra_clusters() const noexcept { return extra_clusters_; }
  /// Of checked mode; null where calls are not compared.
  const Plan* comparison() const noexcept { return comparison_; }
  /// Where this rank finds the symmetric memory of `rank`.
  void set_memory_of(std::size_t rank, const DeviceMemory& memory) noexcept;
  allnorm_kernel::RowState* one_shot_states() const noexcept;
  allnorm_kernel::RowState* two_shot_states() const noexcept { return one_shot_states() + options.max_tokens_one_shot; }
  allnorm_kernel::RowState* comparison_state() const noexcept {
    return two_shot_states() + options.max_tokens_two_shot;
  }
  Transport transport() const noexcept {
    return params.multicast != nullptr ? Transport::kMulticast : Transport::kUnicast;
  }

  Context::Impl& context;
  const WorldOptions options;
  const int rank;
  const int world_size;
  const int ranks_on_device;
  const SymmetricLayout layout;
  /// Rows that a call of each strategy may have, for rows that fit a slot.
  const TokenCapacity capacity;

  const std::shared_ptr<DeviceMemory> symmetric;
  bool suspended = false;                ///< Its memory was given back: nothing may be called.
  std::unique_ptr<DeviceMemory> states;  ///< One-shot rows, two-shot rows, then that of the comparisons.
  KernelParams params{};                 ///< All that does not change from call to call, filled once.
  PlanCache plans;
  AddressCache known_addresses;
  std::uint64_t timeout_nanoseconds;  ///< As last set.

 private:
  std::size_t state_bytes() const noexcept;

  Device& device_;
  Dispatcher dispatcher_;
  const Plan* comparison_ = nullptr;
  std::optional<Geometry> forced_geometry_;
  unsigned extra_clusters_ = 0;
};

}  // namespace allnorm

#endif  // ALLNORM_COMM_WORKSPACE_IMPL_H_
