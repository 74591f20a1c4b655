// Ranks that take steps together: what one of them meets, all of them learn, and nobody waits for ever.
#include <atomic>

#include "allnorm/bootstrap.h"
#include "catch.h"
#include "error_of.h"
#include "tools/rank_meeting.h"

using namespace allnorm;
using allnorm::testing::error_of;
using tools::RankMeeting;

TEST_CASE("every rank gets the largest of what all gave", "[rank_meeting]") {
  RankMeeting meeting(3, nullptr);
  std::atomic<int> right = 0;
  meeting.run([&](std::size_t rank) {
    for (int step = 0; step < 100; ++step) {
      if (meeting.largest(rank, [&] { return static_cast<double>(rank) + step; }) == 2.0 + step) ++right;
    }
  });
  CHECK(right == 300);
}

TEST_CASE("a step that throws on one rank ends all of them, and the next run is a new one", "[rank_meeting]") {
  RankMeeting meeting(3, nullptr);
  std::atomic<int> after = 0;
  const std::string message = error_of(ErrorCode::kTimeout, [&] {
    meeting.run([&](std::size_t rank) {
      meeting.together(rank, [&] {
        if (rank == 1) throw Error(ErrorCode::kTimeout, "nobody came");
      });
      ++after;
    });
  });
  CHECK(message == "nobody came");
  CHECK(after == 0);
  meeting.run([&](std::size_t rank) { meeting.together(rank, [&] { ++after; }); });
  CHECK(after == 3);
}

TEST_CASE("an error between steps is everybody's at the next one", "[rank_meeting]") {
  RankMeeting meeting(2, nullptr);
  const auto fail = [&](std::size_t failing, int steps) {
    return error_of(ErrorCode::kDriver, [&] {
      meeting.run([&](std::size_t rank) {
        if (rank == failing) throw std::runtime_error("out of luck");
        for (int step = 0; step < steps; ++step) meeting.together(rank, [] {});
      });
    });
  };
  CHECK(fail(0, 2) == "out of luck");
  CHECK(fail(1, 2) == "out of luck");
  CHECK(fail(1, 0) == "out of luck");  // the others have no step left
}

TEST_CASE("other processes are heard: their numbers, their errors, their end", "[rank_meeting]") {
  std::string other = R"({"value": 7.5})";
  CallbackBootstrap bootstrap(0, 2, [&](std::string_view mine) {
    if (other.empty()) throw Error(ErrorCode::kPeer, "rank 1 has gone");
    return std::vector<std::string>{std::string(mine), other};
  });
  RankMeeting meeting(1, &bootstrap);
  double largest = 0;
  meeting.run([&](std::size_t rank) { largest = meeting.largest(rank, [] { return 2.0; }); });
  CHECK(largest == 7.5);

  const auto step = [&] { meeting.run([&](std::size_t rank) { meeting.together(rank, [] {}); }); };
  other = R"({"value": 0, "error": {"code": 5, "what": "a call did not end"}})";
  CHECK(error_of(ErrorCode::kTimeout, step) == "rank 1: a call did not end");
  other.clear();
  CHECK(error_of(ErrorCode::kPeer, step) == "rank 1 has gone");
}
