// The C ABI: groups of processes, and the worlds of their ranks.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "allnorm/bootstrap.h"
#include "api/c_api.h"
#include "comm/vote.h"

namespace allnorm::c_api {
namespace {

/// A gather of texts of any length over one of blocks of equal size: the lengths first, then blocks of the longest.
std::vector<std::string> gather(allnorm_all_gather_function function, void* user, int world_size,
                                std::string_view mine) {
  const auto call = [&](const void* from, std::size_t bytes, void* to) {
    if (const std::int32_t code = function(user, from, bytes, to); code != 0) {
      throw Error(ErrorCode::kPeer, fmt::format("the all_gather function returned {}", code));
    }
  };
  const auto ranks = static_cast<std::size_t>(world_size);
  const std::uint64_t own_length = mine.size();
  std::vector<std::uint64_t> lengths(ranks);
  call(&own_length, sizeof(own_length), lengths.data());
  const std::uint64_t longest = *std::max_element(lengths.begin(), lengths.end());
  if (longest > Bootstrap::kMaxBytes)
    throw Error(ErrorCode::kPeer, "the all_gather function gave a length that none had");
  std::vector<std::string> all(ranks);
  if (longest == 0) return all;
  std::string block(mine);
  block.resize(longest);
  std::string blocks(ranks * longest, '\0');
  call(block.data(), longest, blocks.data());
  for (std::size_t rank = 0; rank < ranks; rank++) all[rank] = blocks.substr(rank * longest, lengths[rank]);
  return all;
}

allnorm_group* to_handle(std::unique_ptr<Bootstrap> bootstrap) {
  return reinterpret_cast<allnorm_group*>(bootstrap.release());
}

}  // namespace
}  // namespace allnorm::c_api

using namespace allnorm;
using namespace allnorm::c_api;

allnorm_status allnorm_group_meet_on_host(int32_t rank, int32_t world_size, const char* session, const char* directory,
                                          double timeout_seconds, allnorm_group** group) {
  return guarded([&] {
    require_pointer(group, "group");
    *group = nullptr;
    require_pointer(session, "session");
    HostGroup host;
    host.rank = rank;
    host.world_size = world_size;
    host.session = session;
    if (directory != nullptr) host.directory = directory;
    host.timeout_seconds = timeout_seconds;
    *group = to_handle(meet_on_host(host));
  });
}

allnorm_status allnorm_group_meet_launched(double timeout_seconds, allnorm_group** group) {
  return guarded([&] {
    require_pointer(group, "group");
    *group = nullptr;
    HostGroup host = launched_group();
    host.timeout_seconds = timeout_seconds;
    *group = to_handle(meet_on_host(host));
  });
}

allnorm_status allnorm_group_from_all_gather(int32_t rank, int32_t world_size, allnorm_all_gather_function function,
                                             void* user, allnorm_group** group) {
  return guarded([&] {
    require_pointer(group, "group");
    *group = nullptr;
    if (function == nullptr) {
      throw Error(ErrorCode::kInvalidArgument, "function: NULL was given; a function is needed");
    }
    *group = to_handle(std::make_unique<CallbackBootstrap>(
        rank, world_size, [=](std::string_view mine) { return gather(function, user, world_size, mine); }));
  });
}

void allnorm_group_destroy(allnorm_group* group) { delete from_handle(group); }

allnorm_status allnorm_world_create_in_group(allnorm_context* context, allnorm_group* group, int32_t device,
                                             const allnorm_world_options* options, allnorm_world** world) {
  return guarded([&] {
    require_pointer(world, "world");
    *world = nullptr;
    require_pointer(context, "context");
    require_pointer(group, "group");
    WorldOptions read;
    do_together(*from_handle(group), "read its options", [&] { read = read_group_world_options(options); });
    *world = reinterpret_cast<allnorm_world*>(new World(*from_handle(context), *from_handle(group), device, read));
  });
}

allnorm_status allnorm_world_own(allnorm_world* world, allnorm_workspace** workspace) {
  return guarded([&] {
    require_pointer(workspace, "workspace");
    *workspace = nullptr;
    require_pointer(world, "world");
    *workspace = reinterpret_cast<allnorm_workspace*>(&from_handle(world)->own());
  });
}

allnorm_status allnorm_world_suspend(allnorm_world* world) {
  return guarded([&] {
    require_pointer(world, "world");
    from_handle(world)->suspend();
  });
}

allnorm_status allnorm_world_resume(allnorm_world* world) {
  return guarded([&] {
    require_pointer(world, "world");
    from_handle(world)->resume();
  });
}
