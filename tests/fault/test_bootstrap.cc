// Bootstrap over Unix sockets: processes that find each other, agree, hand over descriptors, and what each of them says
// when one fails.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "allnorm/bootstrap.h"
#include "allnorm/error.h"
#include "cache_fixture.h"
#include "catch.h"
#include "comm/descriptor_exchange.h"
#include "comm/unix_bootstrap.h"
#include "comm/vote.h"
#include "ranks.h"

namespace allnorm {
namespace {

using namespace std::chrono_literals;
using cache::test::Folder;
using testing::RankOutcome;
using testing::run_ranks;
namespace fs = std::filesystem;

UnixGroup group_in(const Folder& folder, int rank, int world_size, std::chrono::milliseconds timeout = 10s) {
  return {folder / "meet", "a", rank, world_size, timeout, {}};
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

/// All that ranks do before they have memory: meet, agree, exchange descriptors, part. Each rank's descriptor is of a
/// file that holds its number.
std::string whole_start(const UnixGroup& group, const std::string& folder) {
  const std::unique_ptr<Bootstrap> bootstrap = meet(group);
  check_agreement(*bootstrap, "version", "0.1.0");
  const std::string own = fmt::format("{}/rank{}", folder, group.rank);
  std::ofstream(own) << group.rank;
  std::string numbers;
  {
    const Descriptor file(::open(own.c_str(), O_RDONLY | O_CLOEXEC));
    ::unlink(own.c_str());
    if (group.on_step) group.on_step("exchange");
    const std::vector<Descriptor> all = exchange_descriptors(*bootstrap, file.get(), {folder, group.timeout});
    for (const Descriptor& one : all) {
      char number[8] = {'-'};
      if (one && ::pread(one.get(), number, sizeof(number), 0) < 1) number[0] = '?';
      numbers += number[0];
    }
  }
  if (group.on_step) group.on_step("part");
  bootstrap->barrier();
  return numbers;
}

}  // namespace

TEST_CASE("ranks meet, agree and hand each other descriptors, and leave nothing behind") {
  for (const int world_size : {1, 2, 3, 8, 16}) {
    const Folder folder;
    const auto outcomes = run_ranks(world_size, [&](int rank) {
      // The last comes late.
      if (rank == world_size - 1) std::this_thread::sleep_for(50ms);
      return whole_start(group_in(folder, rank, world_size), folder.path());
    });
    for (int rank = 0; rank < world_size; rank++) {
      std::string expected;
      for (int other = 0; other < world_size; other++) expected += other == rank ? '-' : fmt::format("{}", other)[0];
      INFO("rank " << rank << " of " << world_size);
      CHECK(outcomes[static_cast<std::size_t>(rank)].text == expected);
      CHECK(outcomes[static_cast<std::size_t>(rank)].open_files == 0);
    }
    CHECK(files_in(folder / "meet").empty());
    CHECK(files_in(folder.path()) == std::vector<std::string>{"meet"});
  }
}

TEST_CASE("gathers give each rank's bytes by rank, whatever their length") {
  const Folder folder;
  const auto outcomes = run_ranks(4, [&](int rank) {
    const auto bootstrap = meet(group_in(folder, rank, 4));
    std::string all;
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, Bootstrap::kMaxBytes}) {
      const auto gathered = bootstrap->all_gather(std::string(bytes * static_cast<std::size_t>(rank) / 3, 'a' + rank));
      for (const std::string& one : gathered) all += fmt::format("{}{} ", one.size(), one.substr(0, 1));
    }
    return all;
  });
  for (const RankOutcome& outcome : outcomes) {
    CHECK(outcome.text == "0 0 0 0 0 0 0 1d 0 349525b 699050c 1048576d ");
  }
  CHECK(run_ranks(1,
                  [&](int) {
                    return meet(group_in(folder, 0, 1))->all_gather(std::string(Bootstrap::kMaxBytes + 1, 'x'))[0];
                  })[0]
            .text == "error: all_gather: 1048577 bytes given, allowed: at most 1048576");
}

TEST_CASE("a step that fails on one rank fails on all with the same words") {
  for (int bad = 0; bad < 3; bad++) {
    const Folder folder;
    const auto outcomes = run_ranks(3, [&](int rank) {
      const auto bootstrap = meet(group_in(folder, rank, 3));
      do_together(*bootstrap, "stand", [] {});
      do_together(*bootstrap, "map its memory", [&] {
        if (rank >= bad) throw Error(ErrorCode::kUnsupported, fmt::format("no memory at {}", rank));
      });
      return std::string("well");
    });
    for (const RankOutcome& outcome : outcomes) {
      CHECK(outcome.text == fmt::format("error: rank {} could not map its memory: no memory at {}", bad, bad));
      CHECK(outcome.open_files == 0);
    }
  }
}

TEST_CASE("a program's own all-gather serves as well, and one that is wrong is found") {
  const Folder folder;
  const auto outcomes = run_ranks(3, [&](int rank) {
    const auto unix_bootstrap = meet(group_in(folder, rank, 3));
    CallbackBootstrap bootstrap(rank, 3, [&](std::string_view mine) { return unix_bootstrap->all_gather(mine); });
    const Descriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::string have;
    for (const Descriptor& one : exchange_descriptors(bootstrap, file.get(), {folder.path(), 10s})) {
      have += one ? '1' : '0';
    }
    CallbackBootstrap wrong(rank, 3, [](std::string_view) { return std::vector<std::string>(2); });
    try {
      wrong.barrier();
    } catch (const Error& error) {
      have += fmt::format(" {}", error.what());
    }
    return have;
  });
  CHECK(outcomes[0].text == "011 the all_gather callback gave 2 values to rank 0 of 3, or not its own in its place");
  CHECK(outcomes[2].text.substr(0, 3) == "110");
  for (const RankOutcome& outcome : outcomes) CHECK(outcome.open_files == 0);
}

TEST_CASE("ranks that do not agree are told who has what") {
  const Folder folder;
  const auto outcomes = run_ranks(3, [&](int rank) {
    const auto bootstrap = meet(group_in(folder, rank, 3));
    check_agreement(*bootstrap, "kernels", rank == 2 ? "b" : "a");
    return std::string("well");
  });
  for (const RankOutcome& outcome : outcomes) {
    CHECK(outcome.text == "error: kernels: rank 0 has a and rank 2 has b; allowed: the same on all ranks");
  }
}

// Each step of each rank fails in turn, in two ways; the numbers are printed.
TEST_CASE("whatever step fails on whatever rank, all others name that rank in time, and nothing is left") {
  struct Point {
    int world_size;
    int bad;
    bool dies;
    std::string step;
  };
  struct Result {
    std::vector<RankOutcome> outcomes;
    std::vector<std::string> left;
    std::vector<std::string> left_in_meet;
  };
  constexpr auto kTimeout = 700ms;
  constexpr std::size_t kSideBySide = 6;  // most of the time they wait
  std::vector<Point> points;
  for (const int world_size : {2, 3, 16}) {
    for (const int bad : {0, 1, world_size - 1}) {
      if (bad == 1 && world_size == 2) continue;
      for (const char* where : {"find the directory", "listen", "let the ranks in", "welcome the ranks", "find rank 0",
                                "gather", "give", "exchange", "part"}) {
        const std::string step = where;
        const bool of_rank_0 =
            step == "listen" || step == "let the ranks in" || step == "welcome the ranks" || step == "give";
        if ((of_rank_0 && bad != 0) || (step == "find rank 0" && bad == 0)) continue;
        for (const bool dies : {false, true}) points.push_back({world_size, bad, dies, step});
      }
    }
  }
  const auto fail_at = [&](const Point& point) {
    const Folder folder;
    Result result;
    result.outcomes = run_ranks(point.world_size, [&](int rank) {
      UnixGroup group = group_in(folder, rank, point.world_size, kTimeout);
      group.on_step = [&](const char* name) {
        if (rank != point.bad || point.step != name) return;
        if (point.dies) ::kill(::getpid(), SIGKILL);
        throw Error(ErrorCode::kDriver, "this rank fails");
      };
      return whole_start(group, folder.path());
    });
    result.left = files_in(folder.path());
    result.left_in_meet = files_in(folder / "meet");
    return result;
  };
  for (std::size_t first = 0; first < points.size(); first += kSideBySide) {
    std::vector<std::future<Result>> running;
    for (std::size_t i = first; i < std::min(points.size(), first + kSideBySide); i++) {
      running.push_back(std::async(testing::kBesideEachOther, fail_at, points[i]));
    }
    for (std::size_t i = 0; i < running.size(); i++) {
      const Point& point = points[first + i];
      const Result result = running[i].get();
      INFO("rank " << point.bad << " of " << point.world_size << (point.dies ? " dies" : " fails")
                   << " before: " << point.step);
      std::string message;
      for (int rank = 0; rank < point.world_size; rank++) {
        const RankOutcome& outcome = result.outcomes[static_cast<std::size_t>(rank)];
        INFO("rank " << rank << ": " << outcome.text);
        if (rank == point.bad) {
          CHECK(outcome.said == !point.dies);
          if (!point.dies) CHECK(outcome.text == "error: this rank fails");
          continue;
        }
        CHECK(outcome.text.starts_with(fmt::format("error: rank {} ", point.bad)));
        CHECK(outcome.open_files == 0);
        CHECK(outcome.seconds < 5.0);
        if (message.empty()) message = outcome.text;
        CHECK(outcome.text == message);
      }
      // A rank that was killed cannot take its folder with it.
      if (!point.dies) CHECK(result.left == std::vector<std::string>{"meet"});
      if (!point.dies) CHECK(result.left_in_meet.empty());
    }
  }
  fmt::print("{} failing steps\n", points.size());
}

TEST_CASE("a rank that stands still is given up, by name, and one that goes on in time is waited for") {
  for (const bool in_time : {false, true}) {
    const Folder folder;
    const auto outcomes = run_ranks(3, [&](int rank) {
      const auto bootstrap = meet(group_in(folder, rank, 3, in_time ? 10s : 300ms));
      if (rank == 1) std::this_thread::sleep_for(600ms);
      bootstrap->barrier();
      return std::string("well");
    });
    for (const int rank : {0, 2}) {
      CHECK(outcomes[static_cast<std::size_t>(rank)].text ==
            (in_time ? "well" : "error: rank 1 said nothing for 300 ms"));
    }
  }
}

TEST_CASE("after a failure every call gives it again") {
  const Folder folder;
  const auto outcomes = run_ranks(2, [&](int rank) {
    const auto bootstrap = meet(group_in(folder, rank, 2));
    if (rank == 1) return std::string("leaves");
    std::string all;
    for (int i = 0; i < 2; i++) {
      try {
        bootstrap->barrier();
      } catch (const Error& error) {
        all += error.what() + std::string("|");
      }
    }
    return all;
  });
  CHECK(outcomes[0].text ==
        "rank 1 has gone: its process ended, or it gave up|rank 1 has gone: its process ended, or it gave up|");
}

TEST_CASE("groups meet side by side, and a second one of the same name is refused") {
  const Folder folder;
  const auto outcomes = run_ranks(4, [&](int rank) {
    UnixGroup rows = group_in(folder, rank % 2, 2);
    rows.session = fmt::format("row{}", rank / 2);
    UnixGroup columns = group_in(folder, rank / 2, 2);
    columns.session = fmt::format("column{}", rank % 2);
    const auto row = meet(rows);
    const auto column = meet(columns);
    return row->all_gather(fmt::format("{}", rank))[1] + column->all_gather(fmt::format("{}", rank))[1];
  });
  CHECK(outcomes[0].text == "12");
  CHECK(outcomes[3].text == "33");

  const auto twice = run_ranks(2, [&](int process) {
    if (process == 1) std::this_thread::sleep_for(100ms);
    meet(group_in(folder, 0, 2, 600ms));
    return std::string("met");
  });
  CHECK(twice[0].text == "error: rank 1 did not come within 600 ms");
  CHECK(twice[1].text.find("another group meets at") != std::string::npos);
}

TEST_CASE("what a killed group has left does not keep the next one") {
  const Folder folder;
  run_ranks(1, [&](int) {
    UnixGroup group = group_in(folder, 0, 2);
    group.on_step = [](const char* name) {
      if (std::string(name) == "let the ranks in") ::kill(::getpid(), SIGKILL);
    };
    meet(group);
    return std::string("met");
  });
  CHECK(files_in(folder / "meet").size() == 2);
  const auto outcomes = run_ranks(2, [&](int rank) {
    if (rank == 0) std::this_thread::sleep_for(50ms);  // the other finds the old nonce first
    return whole_start(group_in(folder, rank, 2), folder.path());
  });
  CHECK(outcomes[0].text == "-1");
  CHECK(outcomes[1].text == "0-");
}

TEST_CASE("who has no nonce, speaks nonsense or is another user is not let in, and disturbs nobody") {
  const Folder folder;
  const auto outcomes = run_ranks(4, [&](int process) -> std::string {
    const std::string path = folder / "meet" + "/a.socket";
    if (process < 2) {
      UnixGroup group = group_in(folder, process, 2);
      if (process == 1) std::this_thread::sleep_for(400ms);
      return whole_start(group, folder.path());
    }
    for (int i = 0; i < 200 && !fs::exists(path); i++) std::this_thread::sleep_for(5ms);
    if (process == 3) {
      constexpr uid_t kNobody = 65534;
      if (::setuid(kNobody) != 0) return "cannot be another user";
      const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      path.copy(address.sun_path, sizeof(address.sun_path) - 1);
      const bool connected = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
      const bool read = std::ifstream(folder / "meet" + "/a.nonce").good();
      return fmt::format("connected {:d}, read {:d}", connected, read);
    }
    for (const std::string& words : {std::string(), std::string("GET / HTTP/1.0\r\n\r\n"), std::string(24, '\xff')}) {
      const auto socket = connect_to(path);
      if (!socket) return "nobody listens";
      if (::send(socket->get(), words.data(), words.size(), MSG_NOSIGNAL) < 0) return "cannot speak";
    }
    // The right form, with another nonce.
    const auto socket = connect_to(path);
    if (!socket) return "nobody listens";
    const auto soon = std::chrono::steady_clock::now() + 3s;
    send_frame(*socket, FrameKind::kHello, std::string(24, '\1'), soon);
    Frame frame{};
    return receive_frame(*socket, frame, 1000, soon) == Transfer::kClosed ? "turned away" : "let in";
  });
  CHECK(outcomes[0].text == "-1");
  CHECK(outcomes[1].text == "0-");
  CHECK(outcomes[2].text == "turned away");
  if (::geteuid() == 0) CHECK(outcomes[3].text == "connected 0, read 0");
}

TEST_CASE("a directory that others may write is refused, and so is what no group can be") {
  const Folder folder;
  fs::create_directory(folder / "meet");
  ::chmod((folder / "meet").c_str(), 0777);
  const auto message = [&](const UnixGroup& group) {
    try {
      meet(group);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message(group_in(folder, 0, 2, 100ms)).find("meet") != std::string::npos);
  ::chmod((folder / "meet").c_str(), 0700);
  CHECK(message(group_in(folder, 2, 2)) == "rank: 2 given, allowed: 0 to world_size - 1");
  CHECK(message(group_in(folder, 0, 73)) == "world_size: 73 given, allowed: 1 to 72");
  UnixGroup group = group_in(folder, 0, 2);
  group.session = "../x";
  CHECK(message(group) == "session: ../x given, allowed: letters, digits, '.', '_' and '-'");
  group = group_in(folder, 0, 2);
  group.directory = "meet";
  CHECK(message(group) == "directory: meet given, allowed: an absolute path");
  group.directory = folder / std::string(120, 'd');
  CHECK(message(group).find("choose a shorter directory") != std::string::npos);
}

TEST_CASE("a group that a rank of another size comes to fails for all") {
  const Folder folder;
  const auto outcomes = run_ranks(2, [&](int rank) {
    return meet(group_in(folder, rank, rank == 1 ? 3 : 2)) ? std::string("met") : std::string();
  });
  CHECK(outcomes[0].text == "error: a rank 1 of 3 came to a group of 2");
  CHECK(outcomes[1].text == outcomes[0].text);
}

}  // namespace allnorm
