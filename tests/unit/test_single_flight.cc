// SingleFlight: one makes a thing while the others wait, for a time.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cache/single_flight.h"
#include "cache_fixture.h"
#include "catch.h"

namespace allnorm::cache::test {
namespace {

using namespace std::chrono_literals;
using State = SingleFlight::Turn::State;

}  // namespace

TEST_CASE("the second waits for its time, and another key does not") {
  const Folder folder;
  const SingleFlight flight(folder / "locks", FileSystem::real());
  std::string reason;
  const auto first = flight.enter("a", 0ms, reason);
  CHECK(first.state() == State::kAlone);
  CHECK_FALSE(first.waited());
  CHECK(flight.enter("a", 0ms, reason).state() == State::kBusy);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(flight.enter("a", 60ms, reason).state() == State::kBusy);
  CHECK(std::chrono::steady_clock::now() - begin >= 60ms);
  CHECK(flight.enter("b", 0ms, reason).state() == State::kAlone);
  CHECK(reason.empty());
  CHECK(mode_of(folder / "locks") == 0700);
}

TEST_CASE("where the directory cannot be used the other one is") {
  const Folder folder;
  const SingleFlight flight("/proc/nothing/here", FileSystem::real(), folder / "locks");
  const SingleFlight plain(folder / "locks", FileSystem::real());
  std::string reason;
  const auto turn = flight.enter("a", 0ms, reason);
  CHECK(turn.state() == State::kAlone);
  CHECK_FALSE(reason.empty());
  CHECK(plain.enter("a", 0ms, reason).state() == State::kBusy);
  CHECK(SingleFlight("/proc/nothing/here", FileSystem::real()).enter("a", 0ms, reason).state() == State::kUnlocked);
  CHECK_FALSE(reason.empty());
}

TEST_CASE("a turn ends with its object, and is one thread's at a time") {
  const Folder folder;
  const SingleFlight flight(folder / "locks", FileSystem::real());
  std::atomic<int> inside = 0;
  std::atomic<int> turns = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; t++) {
      threads.emplace_back([&] {
        std::string reason;
        const auto turn = flight.enter("k", 20s, reason);
        if (turn.state() != State::kAlone || inside++ != 0) return;
        std::this_thread::sleep_for(2ms);
        inside--;
        turns++;
      });
    }
  }
  CHECK(turns == 8);
}

TEST_CASE("a holder that is killed frees its lock") {
  const Folder folder;
  const SingleFlight flight(folder / "locks", FileSystem::real());
  std::string reason;
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto turn = flight.enter("k", 0ms, reason);
    const char told = turn.state() == State::kAlone ? 'y' : 'n';
    if (::write(pipe[1], &told, 1) == 1) ::pause();
    ::_exit(0);
  }
  char told = 0;
  REQUIRE(::read(pipe[0], &told, 1) == 1);
  CHECK(told == 'y');
  CHECK(flight.enter("k", 0ms, reason).state() == State::kBusy);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(flight.enter("k", 0ms, reason).state() == State::kAlone);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_CASE("without locks everybody goes ahead, and says why") {
  const Folder folder;
  std::string reason;
  CHECK(SingleFlight("", FileSystem::real()).enter("k", 10s, reason).state() == State::kUnlocked);
  CHECK(reason.empty());

  write_bytes(folder / "file", "");
  CHECK(SingleFlight(folder / "file", FileSystem::real()).enter("k", 10s, reason).state() == State::kUnlocked);
  CHECK_FALSE(reason.empty());

  fs::create_directory(folder / "open");
  REQUIRE(::chmod((folder / "open").c_str(), 0777) == 0);
  CHECK(SingleFlight(folder / "open", FileSystem::real()).enter("k", 10s, reason).state() == State::kUnlocked);
  CHECK(reason.find("others may write to it") != std::string::npos);

  struct NoLocks : FileSystem {
    int sys_lock(int /*fd*/, std::int64_t /*first*/, std::int64_t /*bytes*/) override {
      errno = ENOLCK;
      return -1;
    }
  } refusing;
  CHECK(SingleFlight(folder / "locks", refusing).enter("k", 10s, reason).state() == State::kUnlocked);
  CHECK(reason.find("cannot lock") != std::string::npos);
}

}  // namespace allnorm::cache::test
