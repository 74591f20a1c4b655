// Multicast over a driver that takes the real one's place: the order of its calls, what ranks do when one of them
// fails, and that nothing is left. Nothing here says that it works on hardware.
#include <fmt/format.h>

#include <cstdlib>
#include <future>
#include <string>
#include <vector>

#include "allnorm/log.h"
#include "catch.h"
#include "rank_worlds.h"
#include "ranks.h"

namespace allnorm {
namespace {

using namespace testing;
using cache::test::Folder;
using Catch::Matchers::Contains;

/// The last reason that the log gave for doing without multicast.
std::string reason;  // NOLINT: of one process, which is a rank

/// "; warning: " and the call of the driver that it is about, for each.
std::string warnings;  // NOLINT

void keep_reason(LogLevel level, std::string_view message) {
  const std::string text(message);
  if (level == LogLevel::kWarn) warnings += "; warning: " + text.substr(0, text.find(' '));
  const std::string marker = "the ranks store to each peer: ";
  if (const std::size_t at = text.find(marker); at != std::string::npos) reason = text.substr(at + marker.size());
}

/// In a rank's process: the stub's GPUs have multicast (1), say that they have (2), or have none (0).
void use_multicast(const Folder& folder, int how, bool fabric, const std::string& failing = {}) {
  use_stub(folder, failing);
  ::setenv("ALLNORM_NVRTC", ALLNORM_STUB_NVRTC, 1);
  ::setenv("ALLNORM_LOG", "info", 1);
  ::setenv("ALLNORM_MULTICAST", "1", 1);
  for (const char* name : {"NCCL_NVLS_ENABLE", "NVSHMEM_DISABLE_NVLS", "TORCH_SYMM_MEM_DISABLE_MULTICAST"}) {
    ::unsetenv(name);
  }
  ::setenv("ALLNORM_STUB_MULTICAST", std::to_string(how).c_str(), 1);
  ::setenv("ALLNORM_STUB_FABRIC", fabric ? "1" : "0", 1);
  set_log_sink(keep_reason);
}

/// "ABC by multicast", or "ABC by unicast: " and why.
std::string make_and_visit(int rank, int world_size) {
  const auto bootstrap = meet_on_host(group_of(rank, world_size));
  Context context({.device = "cuda"});
  World world(context, *bootstrap, rank, small_world());
  const std::string visitors = visit_all(*bootstrap, world);
  bootstrap->barrier();
  return visitors + (world.own().uses_multicast() ? " by multicast" : " by unicast: " + reason);
}

std::vector<RankOutcome> worlds(int world_size, int how, bool fabric, int bad = -1, const std::string& failing = {}) {
  const Folder folder;
  return run_ranks(world_size, [&](int rank) {
    use_multicast(folder, how, fabric, rank == bad ? failing : "");
    return with_leaks([&] { return make_and_visit(rank, world_size); });
  });
}

std::string letters(int world_size) {
  return std::string("ABCDEFGHIJKLMNOP").substr(0, static_cast<std::size_t>(world_size));
}

void check_all(const std::vector<RankOutcome>& outcomes, const std::string& expected) {
  for (const RankOutcome& outcome : outcomes) {
    CHECK(outcome.text == expected);
    CHECK(outcome.open_files == 0);
  }
}

TEST_CASE("processes make, add, bind, map and test a multicast object in the driver's order, and leave nothing") {
  for (const bool fabric : {false, true}) {
    for (const int world_size : {2, 3, 8, 16}) {
      INFO("fabric " << fabric << ", world " << world_size);
      check_all(worlds(world_size, 1, fabric), letters(world_size) + " by multicast");
    }
  }
}

TEST_CASE("ranks in one process have one multicast object, and without multicast none") {
  for (const int how : {0, 1, 2}) {
    const Folder folder;
    const auto outcomes = run_ranks(1, [&](int) {
      use_multicast(folder, how, false);
      return with_leaks([] {
        Context context({.device = "cuda"});
        WorldOptions options = small_world();
        options.devices = {0, 1, 2, 3};
        const World world(context, options);
        std::string text = const_cast<World&>(world).own().uses_multicast() ? "multicast" : "unicast: " + reason;
        options.devices = {0, 1, 1};
        const World shared(context, options);
        return text + "; " + (const_cast<World&>(shared).own().uses_multicast() ? "multicast" : reason);
      });
    });
    // Where one process has made and bound everything, a broken store still reaches all.
    check_all(outcomes, how == 0 ? "unicast: GPU 0 has no multicast; GPU 0 has no multicast"
                                 : "multicast; several ranks are on GPU 1");
  }
}

TEST_CASE("GPUs that say they have multicast, and do not deliver, are found out by the test") {
  for (const int world_size : {2, 8}) {
    for (const RankOutcome& outcome : worlds(world_size, 2, false)) {
      CHECK(outcome.text ==
            letters(world_size) +
                " by unicast: rank 0 could not find what was stored by multicast: what rank 1 stored by "
                "multicast has not arrived");
    }
  }
}

TEST_CASE("a rank whose site forbids multicast forbids it for all, and ranks must agree on whether they ask") {
  const Folder folder;
  const auto said = [&](const std::function<void(int)>& set) {
    const auto outcomes = run_ranks(3, [&](int rank) {
      use_multicast(folder, 1, false);
      set(rank);
      return with_leaks([&] { return make_and_visit(rank, 3); });
    });
    for (const RankOutcome& outcome : outcomes) CHECK(outcome.text == outcomes[0].text);
    return outcomes[0].text;
  };
  CHECK(said([](int rank) {
          if (rank == 2) ::setenv("NVSHMEM_DISABLE_NVLS", "1", 1);
        }) == "ABC by unicast: NVSHMEM_DISABLE_NVLS=1 of rank 2 forbids it");
  CHECK(said([](int rank) {
          if (rank == 1) ::unsetenv("ALLNORM_MULTICAST");
        }) == "error: multicast: rank 0 has true and rank 1 has false; allowed: the same on all ranks");
}

/// What a World of GPUs 0 to 3 of one process comes to, and what it warned of.
std::string one_process(const std::string& failing) {
  const Folder folder;
  const auto outcomes = run_ranks(1, [&](int) {
    use_multicast(folder, 1, false, failing);
    std::string text = with_leaks([] {
      Context context({.device = "cuda"});
      WorldOptions options = small_world();
      options.devices = {0, 1, 2, 3};
      World world(context, options);
      return world.own().uses_multicast() ? std::string("multicast") : "unicast: " + reason;
    });
    return text + warnings;
  });
  return outcomes[0].text + (outcomes[0].open_files == 0 ? "" : "; open files");
}

TEST_CASE("whatever step fails for whatever GPU of one process, it goes on without multicast, and nothing is left") {
  CHECK(one_process("") == "multicast");
  std::vector<std::string> calls = {"cuMulticastGetGranularity:1", "cuMulticastCreate:1", "cuMemAddressReserve:5",
                                    "cuMemMap:5", "cuMemSetAccess:5"};
  for (const char* call : {"cuDeviceGetAttribute", "cuMulticastAddDevice", "cuMulticastBindMem", "cuMemsetD32Async",
                           "cuModuleLoadData", "cuLaunchKernelEx", "cuMemcpyDtoHAsync"}) {
    for (int occurrence = 1; occurrence <= 4; occurrence++) calls.push_back(fmt::format("{}:{}", call, occurrence));
  }
  for (const std::string& call : calls) {
    INFO(call);
    CHECK(one_process(call) == fmt::format("unicast: {} failed: CUDA_ERROR_UNKNOWN (asked for by the test)",
                                           call.substr(0, call.find(':'))));
  }
}

TEST_CASE("what cannot be given back is warned of, and the rest is given back") {
  // The first that is unmapped, freed or released is the multicast object's.
  CHECK(one_process("cuMulticastUnbind:2") ==
        "multicast (2 things of the driver's are left); warning: cuMulticastUnbind; warning: cuMemRelease; open files");
  CHECK(one_process("cuMemRelease:1") ==
        "multicast (1 things of the driver's are left); warning: cuMemRelease; open files");
  CHECK(one_process("cuMemAddressFree:1") ==
        "multicast (1 things of the driver's are left); warning: cuMemAddressFree");
  CHECK(one_process("cuMemUnmap:1") ==
        "multicast (3 things of the driver's are left); warning: cuMemUnmap; warning: cuMemAddressFree; warning: "
        "cuMemRelease; open files");
}

// Each call of the driver that multicast adds fails, or ends the process, on each rank in turn; the numbers are
// printed.
TEST_CASE("whatever call of the driver fails on whatever rank, all go on without multicast, and nothing is left") {
  struct Point {
    int world_size;
    int bad;
    bool fabric;
    std::string failing;
    bool dies;
  };
  std::vector<Point> points;
  for (const int world_size : {2, 3, 8}) {
    for (int bad = 0; bad < world_size; bad++) {
      // What comes first in a World is its memory; the later occurrences are the multicast object's. A rank maps all
      // memory, and then the object.
      const std::string last = std::to_string(world_size + 1);
      std::vector<std::string> calls = {
          "cuDeviceGetAttribute:1", "cuMulticastGetGranularity:1", "cuMulticastAddDevice:1",
          "cuMulticastBindMem:1",   "cuMemAddressReserve:" + last, "cuMemMap:" + last,
          "cuMemSetAccess:" + last, "cuModuleLoadData:1",          "cuStreamCreate:1",
          "cuLaunchKernelEx:1",     "cuMemsetD32Async:1",          "cuMemcpyDtoHAsync:1"};
      if (bad == 0) calls.insert(calls.end(), {"cuMulticastCreate:1", "cuMemExportToShareableHandle:2"});
      if (bad != 0) calls.push_back("cuMemImportFromShareableHandle:" + std::to_string(world_size));
      for (const std::string& call : calls) {
        for (const bool dies : {false, true}) {
          const bool fabric = points.size() / 2 % 2 == 0;
          points.push_back({world_size, bad, fabric, call + (dies ? ":kill" : ""), dies});
        }
      }
    }
  }
  constexpr std::size_t kSideBySide = 4;
  for (std::size_t first = 0; first < points.size(); first += kSideBySide) {
    std::vector<std::future<std::vector<RankOutcome>>> running;
    for (std::size_t i = first; i < std::min(points.size(), first + kSideBySide); i++) {
      running.push_back(std::async(kBesideEachOther, [&point = points[i]] {
        return worlds(point.world_size, 1, point.fabric, point.bad, point.failing);
      }));
    }
    for (std::size_t i = 0; i < running.size(); i++) {
      const Point& point = points[first + i];
      const std::vector<RankOutcome> outcomes = running[i].get();
      INFO("rank " << point.bad << " of " << point.world_size << ", fabric " << point.fabric << ": " << point.failing);
      const std::string& message = outcomes[point.bad == 0 ? 1 : 0].text;
      const std::string blame = fmt::format("rank {} ", point.bad);
      if (point.dies) {
        CHECK_THAT(message, Contains("error: " + blame + "has gone"));
      } else {
        CHECK_THAT(message, Contains(letters(point.world_size) + " by unicast: " + blame + "could not"));
        CHECK_THAT(message, Contains("asked for by the test"));
      }
      for (int rank = 0; rank < point.world_size; rank++) {
        if (point.dies && rank == point.bad) continue;
        const RankOutcome& outcome = outcomes[static_cast<std::size_t>(rank)];
        CHECK(outcome.text == message);
        CHECK(outcome.open_files == 0);
        CHECK(outcome.seconds < kTimeoutSeconds);
      }
    }
  }
  fmt::print("{} worlds\n", points.size());
}

}  // namespace
}  // namespace allnorm
