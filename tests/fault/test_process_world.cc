// Worlds of processes, over a driver that holds memory and runs nothing: what ranks share, and what each of them says
// when a step of one fails.
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "allnorm/allnorm_c.h"
#include "allnorm/bootstrap.h"
#include "allnorm/error.h"
#include "allnorm/workspace.h"
#include "cache_fixture.h"
#include "catch.h"
#include "comm/workspace_impl.h"
#include "dispatch/names.h"
#include "rank_worlds.h"
#include "ranks.h"

namespace allnorm {
namespace {

using cache::test::Folder;
using namespace testing;
namespace fs = std::filesystem;

std::string make_and_visit(int rank, int world_size) {
  const auto bootstrap = meet_on_host(group_of(rank, world_size));
  Context context({.device = "cuda"});
  World world(context, *bootstrap, rank, small_world());
  std::string visitors = visit_all(*bootstrap, world);
  bootstrap->barrier();
  world.reset();
  // Sentinels again, all of them.
  const std::uint64_t place = world.own().impl().layout.one_shot.offset;
  if (world_size > 1 && std::memcmp(memory_of(world.own(), rank) + place, "\0\0\0\x80", 4) != 0)
    visitors += " not renewed";
  return visitors;
}

std::vector<RankOutcome> failing_world(int world_size, int bad, const std::string& failing) {
  const Folder folder;
  auto outcomes = run_ranks(world_size, [&](int rank) {
    use_stub(folder, rank == bad ? failing : "");
    return with_leaks([&] { return make_and_visit(rank, world_size); });
  });
  // Who was killed cannot take his files with him.
  if (failing.ends_with(":kill")) return outcomes;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    if (!entry.is_directory()) outcomes.front().text += " left " + entry.path().string();
  }
  return outcomes;
}

}  // namespace

TEST_CASE("ranks of processes have each other's memory, by descriptor and by fabric handle, and reset it together") {
  for (const char* fabric : {"0", "1"}) {
    for (const int world_size : {1, 2, 3, 8, 16}) {
      const Folder folder;
      const auto outcomes = run_ranks(world_size, [&](int rank) {
        use_stub(folder);
        ::setenv("ALLNORM_STUB_FABRIC", fabric, 1);
        return with_leaks([&] { return make_and_visit(rank, world_size); });
      });
      for (const RankOutcome& outcome : outcomes) {
        INFO("fabric " << fabric << ", world " << world_size);
        CHECK(outcome.text == std::string("ABCDEFGHIJKLMNOP").substr(0, static_cast<std::size_t>(world_size)));
        CHECK(outcome.open_files == 0);
      }
    }
  }
}

struct Point {
  int world_size;
  int bad;
  bool dies;
  std::string failing;
};

/// Each function of the driver on each rank of worlds of 2 to 16, once, while its first calls and the two ways of
/// failing take turns. With ALLNORM_TEST_ALL=1 its first four calls in both ways, each.
std::vector<Point> failing_points() {
  const bool all = std::getenv("ALLNORM_TEST_ALL") != nullptr;
  std::vector<Point> points;
  const auto add = [&](int world_size, int bad, const char* function, int call, bool dies) {
    points.push_back({world_size, bad, dies, fmt::format("{}:{}{}", function, call, dies ? ":kill" : "")});
  };
  std::size_t turn = 0;
  for (int world_size = 2; world_size <= 16; world_size++) {
    for (int bad = 0; bad < world_size; bad++) {
      for (const char* function :
           {"cuDeviceGetName", "cuDeviceGetUuid", "cuDevicePrimaryCtxRetain", "cuStreamCreateWithPriority",
            "cuMemGetAllocationGranularity", "cuMemCreate", "cuMemExportToShareableHandle",
            "cuMemImportFromShareableHandle", "cuMemAddressReserve", "cuMemMap", "cuMemSetAccess", "cuMemAlloc",
            "cuMemsetD32Async", "cuMemcpyHtoDAsync"}) {
        turn++;
        if (!all && (turn + static_cast<std::size_t>(bad)) % 2 == 0) {
          add(world_size, bad, function, turn % 3 != 0 ? 1 : 2 + static_cast<int>(turn / 3 % 3), turn / 2 % 2 == 0);
        }
        for (int call = 1; all && call <= 4; call++) {
          for (const bool dies : {false, true}) add(world_size, bad, function, call, dies);
        }
      }
    }
  }
  return points;
}

// The numbers are printed.
TEST_CASE("whatever call of the driver fails on whatever rank, all ranks say the same, and nothing is left") {
  constexpr std::size_t kSideBySide = 4;
  const std::vector<Point> points = failing_points();
  int failures = 0;
  int deaths = 0;
  for (std::size_t first = 0; first < points.size(); first += kSideBySide) {
    std::vector<std::future<std::vector<RankOutcome>>> running;
    for (std::size_t i = first; i < std::min(points.size(), first + kSideBySide); i++) {
      const Point& point = points[i];
      running.push_back(
          std::async(kBesideEachOther, [&point] { return failing_world(point.world_size, point.bad, point.failing); }));
    }
    for (std::size_t i = 0; i < running.size(); i++) {
      const Point& point = points[first + i];
      const std::vector<RankOutcome> outcomes = running[i].get();
      const std::string& message = outcomes[point.bad == 0 ? 1 : 0].text;
      INFO("rank " << point.bad << " of " << point.world_size << ": " << point.failing << ": " << message);
      const bool failed = message.starts_with("error: ");
      failures += failed && !point.dies ? 1 : 0;
      deaths += failed && point.dies ? 1 : 0;
      if (failed) {
        const char* said = point.dies ? "has gone: its process ended, or it gave up" : "asked for by the test";
        CHECK(message.find(said) != std::string::npos);
        CHECK(message.starts_with(fmt::format("error: rank {} ", point.bad)));
      }
      for (int rank = 0; rank < point.world_size; rank++) {
        const RankOutcome& outcome = outcomes[static_cast<std::size_t>(rank)];
        if (failed && point.dies && rank == point.bad) {
          CHECK(!outcome.said);
          continue;
        }
        if (failed) CHECK(outcome.text == message);
        CHECK(outcome.text.find(" left") == std::string::npos);
        CHECK(outcome.open_files == 0);
        CHECK(outcome.seconds < kTimeoutSeconds);
      }
    }
  }
  fmt::print("{} worlds: {} failed as asked, in {} a rank died\n", points.size(), failures, deaths);
  CHECK(failures > 250);
  CHECK(deaths > 250);
}

TEST_CASE("a failed fabric handle is no failure where descriptors reach all ranks") {
  const Folder folder;
  const auto outcomes = run_ranks(3, [&](int rank) {
    use_stub(folder, rank == 1 ? "cuMemImportFromShareableHandle:1" : "");
    ::setenv("ALLNORM_STUB_FABRIC", "1", 1);
    return with_leaks([&] { return make_and_visit(rank, 3); });
  });
  for (const RankOutcome& outcome : outcomes) CHECK(outcome.text == "ABC");
}

TEST_CASE("a suspended World gives its memory back, and comes back at the same addresses, also after a failed try") {
  for (const char* fabric : {"0", "1"}) {
    for (const std::string& failing : {std::string(), std::string(*fabric == '1' ? "cuMemCreate:2" : "cuMemCreate:3"),
                                       std::string("cuMemMap:4"), std::string("cuMemImportFromShareableHandle:3")}) {
      const Folder folder;
      const auto outcomes = run_ranks(3, [&](int rank) {
        use_stub(folder, rank == 1 ? failing : "");
        ::setenv("ALLNORM_STUB_FABRIC", fabric, 1);
        return with_leaks([&] {
          const auto bootstrap = meet_on_host(group_of(rank, 3));
          Context context({.device = "cuda"});
          World world(context, *bootstrap, rank, small_world());
          std::string all = visit_all(*bootstrap, world);
          std::vector<char*> before;
          for (int other = 0; other < 3; other++) before.push_back(memory_of(world.own(), other));
          const int live = stub_live();
          bootstrap->barrier();
          world.suspend();
          world.suspend();  // twice is once
          all += fmt::format(" {} fewer", live - stub_live());
          if (world.own().status().message.find("suspended") == std::string::npos) all += " status";
          for (;;) {
            try {
              world.resume();
              break;
            } catch (const Error& error) {
              all += std::string(" failed");
            }
          }
          for (int other = 0; other < 3; other++) {
            if (memory_of(world.own(), other) != before[static_cast<std::size_t>(other)]) all += " moved";
          }
          bootstrap->barrier();
          return all + " " + visit_all(*bootstrap, world);
        });
      });
      for (const RankOutcome& outcome : outcomes) {
        INFO("fabric " << fabric << ", " << failing);
        // Of each rank the pages and their mapping.
        const bool fails = outcome.text.find(" failed") != std::string::npos;
        CHECK(outcome.text == std::string("ABC 6 fewer") + (fails ? " failed" : "") + " ABC");
        CHECK(outcome.text == outcomes[0].text);
        CHECK(outcome.open_files == 0);
        CHECK(fails == !failing.empty());
      }
    }
  }
}

TEST_CASE("ranks that were given different worlds, or the same GPU, are told so") {
  const auto said = [](const std::function<std::string(int, Bootstrap&)>& work) {
    const Folder folder;
    const auto outcomes = run_ranks(3, [&](int rank) {
      use_stub(folder);
      return with_leaks([&] { return work(rank, *meet_on_host(group_of(rank, 3))); });
    });
    for (const RankOutcome& outcome : outcomes) CHECK(outcome.text == outcomes[0].text);
    return outcomes[0].text;
  };
  CHECK(said([](int rank, Bootstrap& bootstrap) {
          Context context({.device = "cuda"});
          WorldOptions options = small_world();
          options.max_tokens_one_shot = rank == 2 ? 5 : 4;
          World(context, bootstrap, rank, options);
          return std::string("made");
        }) ==
        "error: max_row_bytes, max_tokens_one_shot, max_tokens_two_shot: rank 0 has 4096, 4, 4 and rank 2 has 4096, 5, "
        "4; allowed: the same on all ranks");
  CHECK(said([](int rank, Bootstrap& bootstrap) {
          if (rank == 1) ::setenv("ALLNORM_CHECKED", "1", 1);
          Context context({.device = "cuda"});
          World(context, bootstrap, rank, small_world());
          return std::string("made");
        }) == "error: checked: rank 0 has false and rank 1 has true; allowed: the same on all ranks");
  CHECK(said([](int rank, Bootstrap& bootstrap) {
          Context context({.device = "cuda"});
          World(context, bootstrap, rank / 2, small_world());
          return std::string("made");
        }) ==
        "error: device: rank 0 and rank 1 were given the same GPU; each process needs one of its own (several ranks of "
        "one process may share a GPU)");
  CHECK(said([](int rank, Bootstrap& bootstrap) {
          Context context({.device = "cuda"});
          WorldOptions options = small_world();
          if (rank == 1) options.devices = {0, 1, 2};
          World(context, bootstrap, rank, options);
          return std::string("made");
        }) ==
        "error: rank 1 could not begin: devices: 3 were given; with a Bootstrap the GPU of this rank is an argument of "
        "its own, and devices stays empty");
  CHECK(said([](int rank, Bootstrap& bootstrap) {
          Context context({.device = "cuda"});
          World(context, bootstrap, rank == 2 ? 16 : rank, small_world());
          return std::string("made");
        }) == "error: rank 2 could not begin: device: GPU 16 was given; this machine shows GPUs 0 to 15");
  CHECK(said([](int rank, Bootstrap& bootstrap) {
          Context context({.device = "sim"});
          World(context, bootstrap, rank, small_world());
          return std::string("made");
        }).find("a simulated GPU belongs to its process") != std::string::npos);
}

TEST_CASE("whatever tables the ranks find, rank 0's is everyone's, also where it is none") {
  const auto table = [](const std::string& strategy) {
    return R"({"schema": 1, "provenance": {"device": "stub GPU", "driver": "1", "nvrtc": "1", "kernel_digest": "d",
      "date": "2026-11-26", "tool": "t"}, "entries": [{"world_size": 3, "dtype": "bf16", "hidden_dim": 2048,
      "quant": "none", "transport": "unicast", "bounds": [{"max_tokens": null, "microseconds": 7, "strategy": ")" +
           strategy + R"(", "geometry": {"ctas_per_row": 1, "warps_per_cta": 8, "chunks_per_warp": 1}}]}]})";
  };
  // An empty text: no file.
  const auto chosen = [](const std::vector<std::string>& tables) {
    const Folder folder;
    const auto outcomes = run_ranks(3, [&](int rank) {
      use_stub(folder);
      const std::string& text = tables[static_cast<std::size_t>(rank)];
      const std::string path = folder / fmt::format("{}.json", rank);
      if (!text.empty()) {
        std::ofstream(path) << text;
        ::setenv("ALLNORM_TABLE", path.c_str(), 1);
      }
      return with_leaks([&] {
        const auto bootstrap = meet_on_host(group_of(rank, 3));
        Context context({.device = "cuda"});
        World world(context, *bootstrap, rank, small_world());
        const CallShape shape = {Operation::kFused, DataType::kBF16, Quant::kNone, 2048, 1};
        const Choice choice = world.own().impl().dispatcher().choose(shape, Strategy::kAuto, {4, 4});
        bootstrap->barrier();
        return fmt::format("{} {}", to_string(choice.strategy), choice.microseconds == 7);
      });
    });
    for (const RankOutcome& outcome : outcomes) CHECK(outcome.text == outcomes[0].text);
    return outcomes[0].text;
  };
  CHECK(chosen({table("two_shot"), "", table("one_shot")}) == "two_shot true");
  CHECK(chosen({table("two_shot"), "{", "{"}) == "two_shot true");
  CHECK(chosen({"", table("two_shot"), table("two_shot")}) == "one_shot false");
  CHECK(chosen({"{", "", ""}).starts_with("error: rank 0 could not find its tuned table: "));
}

TEST_CASE("a rank has its own workspace and no other's") {
  const Folder folder;
  const auto outcomes = run_ranks(2, [&](int rank) {
    use_stub(folder);
    const auto bootstrap = meet_on_host(group_of(rank, 2));
    Context context({.device = "cuda"});
    World world(context, *bootstrap, rank, small_world());
    std::string text = fmt::format("{} of {}, on GPU {}: ", world.own().rank(), world.size(), world.own().device());
    CHECK(&world.rank(rank) == &world.own());
    world.rank(1 - rank);
    return text;
  });
  CHECK(outcomes[0].text == "error: rank: 1 was given; 0, this process's own, is allowed");
  CHECK(outcomes[1].text == "error: rank: 0 was given; 1, this process's own, is allowed");
}

TEST_CASE("two groups in one process, and two hundred worlds one after the other, leave nothing") {
  const Folder folder;
  const auto outcomes = run_ranks(4, [&](int process) {
    use_stub(folder);
    return with_leaks([&] {
      const auto row = meet_on_host(group_of(process % 2, 2, fmt::format("row{}", process / 2)));
      const auto column = meet_on_host(group_of(process / 2, 2, fmt::format("column{}", process % 2)));
      Context context({.device = "cuda"});
      std::string all;
      for (int i = 0; i < 100; i++) {
        World of_row(context, *row, process, small_world());
        World of_column(context, *column, process, small_world());
        const std::string both = visit_all(*row, of_row) + visit_all(*column, of_column);
        if (i == 0 || both != "ABAB") all += both;
        row->barrier();
        column->barrier();
      }
      return all;
    });
  });
  for (const RankOutcome& outcome : outcomes) {
    CHECK(outcome.text == "ABAB");
    CHECK(outcome.open_files == 0);
  }
}

TEST_CASE("C: ranks meet on a host or by the program's own gather, and have a world together") {
  const Folder folder;
  const auto outcomes = run_ranks(2, [&](int rank) {
    use_stub(folder);
    return with_leaks([&] {
      const std::string directory = folder / "c";
      std::string all;
      allnorm_group* on_host = nullptr;
      const auto say = [&](const char* what, allnorm_status status) {
        if (status != ALLNORM_OK) all += fmt::format("{}: {}; ", what, allnorm_last_error_message());
      };
      say("meet", allnorm_group_meet_on_host(rank, 2, "c", directory.c_str(), kTimeoutSeconds, &on_host));
      const auto host = meet_on_host(group_of(rank, 2, "gather"));
      // A gather of blocks of equal size, as MPI's.
      const auto function = [](void* user, const void* mine, std::size_t bytes, void* to) -> std::int32_t {
        auto& bootstrap = *static_cast<Bootstrap*>(user);
        std::size_t offset = 0;
        for (const std::string& one : bootstrap.all_gather({static_cast<const char*>(mine), bytes})) {
          std::memcpy(static_cast<char*>(to) + offset, one.data(), one.size());
          offset += bytes;
        }
        return 0;
      };
      allnorm_group* by_gather = nullptr;
      say("gather", allnorm_group_from_all_gather(rank, 2, function, host.get(), &by_gather));
      allnorm_context_options context_options;
      allnorm_context_options_init(&context_options);
      context_options.device = "cuda";
      allnorm_context* context = nullptr;
      say("context", allnorm_context_create(&context_options, &context));
      allnorm_world_options options;
      allnorm_world_options_init(&options);
      options.max_row_bytes = 4096;
      options.max_tokens_one_shot = 4;
      for (allnorm_group* group : {on_host, by_gather}) {
        allnorm_world* world = nullptr;
        allnorm_workspace* workspace = nullptr;
        say("world", allnorm_world_create_in_group(context, group, rank, &options, &world));
        say("own", allnorm_world_own(world, &workspace));
        say("suspend", allnorm_world_suspend(world));
        say("resume", allnorm_world_resume(world));
        say("reset", allnorm_world_reset(world));
        say("other", allnorm_world_rank(world, 1 - rank, &workspace));
        allnorm_world_destroy(world);
      }
      options.world_size = 2;
      allnorm_world* world = nullptr;
      say("sizes", allnorm_world_create_in_group(context, on_host, rank, &options, &world));
      say("function", allnorm_group_from_all_gather(0, 2, nullptr, nullptr, &by_gather));
      say("rank", allnorm_group_from_all_gather(2, 2, function, nullptr, &by_gather));
      allnorm_group_destroy(by_gather);
      allnorm_group_destroy(on_host);
      allnorm_context_destroy(context);
      return all;
    });
  });
  const std::string other = "other: rank: 1 was given; 0, this process's own, is allowed; ";
  CHECK(outcomes[0].text ==
        other + other +
            "sizes: rank 0 could not read its options: options.devices, options.world_size: devices, or a world_size "
            "of 2, were given; in "
            "a group leave both 0, the group has them; function: function: NULL was given; a function "
            "is needed; rank: rank, world_size: 2, 2 were given; allowed are 1 to 72 ranks, and one of "
            "them; ");
  for (const RankOutcome& outcome : outcomes) CHECK(outcome.open_files == 0);
}

}  // namespace allnorm
