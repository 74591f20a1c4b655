// Processes that fork while they compile, as data loaders do: a child holds what its parent has open.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "cache/single_flight.h"
#include "cache_fixture.h"
#include "catch.h"

using namespace allnorm::cache;
using namespace std::chrono_literals;
using allnorm::cache::test::Folder;
using State = SingleFlight::Turn::State;

TEST_CASE("a turn ends with its owner, although a child that was forked meanwhile lives on") {
  const Folder folder;
  const SingleFlight flight(folder / "locks", FileSystem::real());
  std::string reason;
  pid_t child = -1;
  {
    const SingleFlight::Turn turn = flight.enter("key", 0ms, reason);
    REQUIRE(turn.state() == State::kAlone);
    child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    CHECK(flight.enter("key", 0ms, reason).state() == State::kBusy);
    CHECK(flight.enter("other key", 0ms, reason).state() == State::kAlone);
  }
  CHECK(flight.enter("key", 0ms, reason).state() == State::kAlone);
  CHECK(::kill(child, SIGKILL) == 0);
  ::waitpid(child, nullptr, 0);
}
