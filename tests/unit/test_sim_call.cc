// A whole call on simulated GPUs, through the public API: every byte is the reference's.
#include "allnorm/context.h"
#include "api/context_impl.h"
#include "catch.h"
#include "comm/workspace_impl.h"
#include "device/sim/machine.h"
#include "error_of.h"
#include "simulation.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

constexpr int kHidden = 512;
constexpr std::int64_t kTokens = 5;

WorldOptions options_for(std::vector<int> devices, bool multicast) {
  return {.devices = std::move(devices),
          .max_row_bytes = kHidden * 2,
          .max_tokens_one_shot = kTokens,
          .max_tokens_two_shot = kTokens,
          .multicast = multicast};
}

/// Calls of changing size, one after the other, so that rows use every buffer and clear it again.
void run_calls(Context& context, World& world, Strategy strategy) {
  for (std::uint64_t seed = 1; seed <= 5; seed++) {
    INFO("call " << seed);
    FusedFp8 call(context, world, seed % 2 == 0 ? kTokens : 2, kHidden, strategy, seed);
    call.prepare();
    call.launch();
    call.synchronize();
    CHECK(call.differences().empty());
    CHECK(world.rank(0).status().healthy);
  }
}

}  // namespace

TEST_CASE("two ranks on two simulated GPUs give the reference's bits", "[simulator]") {
  Context context({.cache_directory = kernel_cache(), .device = "sim:2"});
  for (const bool multicast : {false, true}) {
    World world(context, options_for({0, 1}, multicast));
    CHECK(world.rank(0).uses_multicast() == multicast);
    CHECK(world.rank(1).uses_multicast() == multicast);
    for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
      INFO(to_string(strategy) << (multicast ? ", multicast" : ", unicast"));
      run_calls(context, world, strategy);
    }
  }
}

TEST_CASE("virtual ranks on one simulated GPU give the reference's bits", "[simulator]") {
  Context context({.cache_directory = kernel_cache(), .device = "sim:1"});
  World world(context, options_for({0, 0}, false));
  run_calls(context, world, Strategy::kOneShot);
  run_calls(context, world, Strategy::kTwoShot);
}

TEST_CASE("a suspended World refuses calls and says so, and after resume() its calls are right", "[simulator]") {
  Context context({.cache_directory = kernel_cache(), .device = "sim:2"});
  World world(context, options_for({0, 1}, false));
  run_calls(context, world, Strategy::kOneShot);
  FusedFp8 call(context, world, kTokens, kHidden, Strategy::kOneShot, 1);
  call.prepare();
  world.suspend();
  CHECK(world.rank(1).status().message == "suspended: World::resume() brings its memory back");
  CHECK(error_of(ErrorCode::kInvalidArgument, [&] { call.launch(); }).find("it is suspended") != std::string::npos);
  world.rank(0).set_timeout(7.0);
  world.rank(0).abort();
  world.resume();
  world.resume();  // twice is once
  CHECK(world.rank(1).status().healthy);
  run_calls(context, world, Strategy::kOneShot);
  world.suspend();
  world.reset();  // brings it back, too
  run_calls(context, world, Strategy::kTwoShot);

  World by_multicast(context, options_for({0, 1}, true));
  CHECK(error_of(ErrorCode::kUnsupported, [&] { by_multicast.suspend(); }).find("multicast") != std::string::npos);
}

TEST_CASE("synchronising a device runs what is queued there, and what that waits for", "[simulator]") {
  Context context({.cache_directory = kernel_cache(), .device = "sim:2"});
  World world(context, options_for({0, 1}, false));
  FusedFp8 call(context, world, kTokens, kHidden, Strategy::kOneShot, 1);
  call.prepare();
  call.launch();
  CHECK_FALSE(call.differences().empty());
  context.synchronize(0);
  context.synchronize(1);
  CHECK(call.differences().empty());
}

TEST_CASE("a peer that makes no call is named, in simulated time", "[simulator]") {
  Context context({.cache_directory = kernel_cache(), .device = "sim:2"});
  World world(context, options_for({0, 1}, false));
  FusedFp8 call(context, world, kTokens, kHidden, Strategy::kOneShot, 1);
  call.prepare();
  call.launch(1);
  call.synchronize();  // the 30 seconds of the timeout pass at once
  const WorkspaceStatus status = world.rank(0).status();
  CHECK_FALSE(status.healthy);
  CHECK(status.code == ErrorCode::kTimeout);
  CHECK(status.rank == 1);
  CHECK(status.waited_for == 0);

  world.reset();
  CHECK(world.rank(0).status().healthy);
  run_calls(context, world, Strategy::kOneShot);
}

TEST_CASE("more clusters than tokens change nothing", "[simulator]") {
  Context context({.cache_directory = kernel_cache(), .device = "sim:2"});
  World world(context, options_for({0, 1}, false));
  for (int rank = 0; rank < 2; rank++) world.rank(rank).impl().force_extra_clusters(3);
  run_calls(context, world, Strategy::kOneShot);
  run_calls(context, world, Strategy::kTwoShot);
}
