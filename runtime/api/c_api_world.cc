// The C ABI: worlds and workspaces.
#include <algorithm>

#include "api/c_api.h"

namespace allnorm::c_api {
namespace {

// Bytes of the first version of each struct, for ever: members that come later are not required.
constexpr std::size_t kSmallestWorldOptions = 56;
constexpr std::size_t kSmallestStatus = 552;

allnorm_world_options world_defaults() {
  const WorldOptions defaults;
  allnorm_world_options value{};
  value.struct_size = sizeof(value);
  value.max_row_bytes = defaults.max_row_bytes;
  value.max_tokens_one_shot = defaults.max_tokens_one_shot;
  value.max_tokens_two_shot = defaults.max_tokens_two_shot;
  value.timeout_seconds = ALLNORM_DEFAULT_TIMEOUT;
  value.multicast = defaults.multicast;
  value.checked = defaults.checked;
  return value;
}

void check_world_size(std::int32_t world_size) {
  if (world_size >= 1 && world_size <= kMaxWorldSize) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("options.world_size: {} was given; allowed are 1 to {}", world_size, kMaxWorldSize));
}

/// All but the devices.
WorldOptions read_sizes(const allnorm_world_options& from) {
  WorldOptions to;
  to.max_row_bytes = from.max_row_bytes;
  to.max_tokens_one_shot = from.max_tokens_one_shot;
  to.max_tokens_two_shot = from.max_tokens_two_shot;
  if (from.timeout_seconds != ALLNORM_DEFAULT_TIMEOUT) to.timeout_seconds = from.timeout_seconds;
  to.multicast = from.multicast != 0;
  to.checked = from.checked != 0;
  return to;
}

allnorm_world_options read_options(const allnorm_world_options* given) {
  return read_struct(given, kSmallestWorldOptions, world_defaults(), "options");
}

WorldOptions read_world_options(const allnorm_world_options& from) {
  check_world_size(from.world_size);
  require_pointer(from.devices, "options.devices");
  WorldOptions to = read_sizes(from);
  to.devices.assign(from.devices, from.devices + from.world_size);
  return to;
}

/// Cuts off what does not fit.
template <std::size_t kSize>
void copy_text(char (&to)[kSize], const std::string& from) {
  const std::size_t length = std::min(from.size(), kSize - 1);
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
}

allnorm_workspace_status to_c(const WorkspaceStatus& from) {
  allnorm_workspace_status to{};
  to.healthy = from.healthy ? 1 : 0;
  to.code = from.healthy ? ALLNORM_OK : static_cast<allnorm_status>(from.code);
  to.rank = from.rank;
  to.waited_for = from.waited_for;
  to.row = from.row;
  to.epoch = from.epoch;
  to.strategy = static_cast<allnorm_strategy>(from.strategy);
  copy_text(to.phase, from.phase);
  copy_text(to.message, from.message);
  return to;
}

}  // namespace

WorldOptions read_group_world_options(const allnorm_world_options* given) {
  const allnorm_world_options from = read_options(given);
  if (from.devices != nullptr || from.world_size != 0) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("options.devices, options.world_size: devices, or a world_size of {}, were given; in a group "
                    "leave both 0, the group has them",
                    from.world_size));
  }
  return read_sizes(from);
}

}  // namespace allnorm::c_api

using namespace allnorm;
using namespace allnorm::c_api;

allnorm_status allnorm_world_options_init_sized(allnorm_world_options* options, size_t struct_size) {
  return guarded([&] { write_struct(options, struct_size, kSmallestWorldOptions, world_defaults(), "options"); });
}

allnorm_status allnorm_world_create(allnorm_context* context, const allnorm_world_options* options,
                                    allnorm_world** world) {
  return guarded([&] {
    require_pointer(world, "world");
    *world = nullptr;
    require_pointer(context, "context");
    *world =
        reinterpret_cast<allnorm_world*>(new World(*from_handle(context), read_world_options(read_options(options))));
  });
}

void allnorm_world_destroy(allnorm_world* world) { delete from_handle(world); }

allnorm_status allnorm_world_reset(allnorm_world* world) {
  return guarded([&] {
    require_pointer(world, "world");
    from_handle(world)->reset();
  });
}

allnorm_status allnorm_world_size(const allnorm_world* world, int32_t* size) {
  return guarded([&] {
    require_pointer(world, "world");
    require_pointer(size, "size");
    *size = from_handle(world)->size();
  });
}

allnorm_status allnorm_world_rank(allnorm_world* world, int32_t rank, allnorm_workspace** workspace) {
  return guarded([&] {
    require_pointer(workspace, "workspace");
    *workspace = nullptr;
    require_pointer(world, "world");
    const int size = from_handle(world)->size();
    if (rank < 0 || rank >= size) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("rank: {} was given; this world has ranks 0 to {}", rank, size - 1));
    }
    *workspace = reinterpret_cast<allnorm_workspace*>(&from_handle(world)->rank(rank));
  });
}

allnorm_status allnorm_workspace_max_tokens(const allnorm_workspace* workspace, allnorm_strategy strategy,
                                            int32_t hidden_dim, allnorm_data_type dtype, int64_t* max_tokens) {
  return guarded([&] {
    require_pointer(workspace, "workspace");
    require_pointer(max_tokens, "max_tokens");
    const Strategy to = to_strategy(strategy, "strategy");
    *max_tokens = from_handle(workspace)->max_tokens(to, hidden_dim, to_data_type(dtype, "dtype"));
  });
}

allnorm_status allnorm_workspace_required_bytes(const allnorm_world_options* options, int64_t* bytes) {
  return guarded([&] {
    require_pointer(bytes, "bytes");
    const allnorm_world_options given = read_options(options);
    check_world_size(given.world_size);
    *bytes = given.devices == nullptr ? Workspace::required_bytes(read_sizes(given), given.world_size)
                                      : Workspace::required_bytes(read_world_options(given));
  });
}

allnorm_status allnorm_workspace_uses_multicast(const allnorm_workspace* workspace, int32_t* uses_multicast) {
  return guarded([&] {
    require_pointer(workspace, "workspace");
    require_pointer(uses_multicast, "uses_multicast");
    *uses_multicast = from_handle(workspace)->uses_multicast() ? 1 : 0;
  });
}

allnorm_status allnorm_workspace_status_init_sized(allnorm_workspace_status* status, size_t struct_size) {
  return guarded([&] { write_struct(status, struct_size, kSmallestStatus, to_c(WorkspaceStatus{}), "status"); });
}

allnorm_status allnorm_workspace_get_status(const allnorm_workspace* workspace, allnorm_workspace_status* status) {
  return guarded([&] {
    require_pointer(workspace, "workspace");
    require_pointer(status, "status");
    check_struct_size(status->struct_size, kSmallestStatus, sizeof(*status), "status");
    write_struct(status, status->struct_size, kSmallestStatus, to_c(from_handle(workspace)->status()), "status");
  });
}

allnorm_status allnorm_workspace_abort(allnorm_workspace* workspace) {
  return guarded([&] {
    require_pointer(workspace, "workspace");
    from_handle(workspace)->abort();
  });
}

allnorm_status allnorm_workspace_set_timeout(allnorm_workspace* workspace, double seconds) {
  return guarded([&] {
    require_pointer(workspace, "workspace");
    from_handle(workspace)->set_timeout(seconds);
  });
}
