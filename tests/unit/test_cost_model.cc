#include <cstdint>

#include "catch.h"
#include "dispatch/cost_model.h"
#include "dispatch/names.h"

using namespace allnorm;

namespace {

constexpr std::int64_t kRow = 14336;  // 7168 bf16.
constexpr LinkModel kLink = {0.5, 1.0, 100};

double estimate(Strategy strategy, int world_size, std::int64_t tokens, Transport transport = Transport::kUnicast) {
  return estimate_microseconds(strategy, world_size, tokens, kRow, transport, kLink);
}

bool near(double a, double b) { return a > b * (1 - 1e-12) && a < b * (1 + 1e-12); }

}  // namespace

TEST_CASE("one-shot moves all rows to all peers in one hop", "[cost_model]") {
  // 3 peers, 10 rows: 430,080 bytes at 1e5 bytes per microsecond.
  CHECK(near(estimate(Strategy::kOneShot, 4, 10), 0.5 + 1 + 4.3008));
}

TEST_CASE("two-shot moves a share of the rows in each of two hops", "[cost_model]") {
  // 8 rows over 4 owners: 3 peers * 2 rows in each hop.
  CHECK(near(estimate(Strategy::kTwoShot, 4, 8), 0.5 + 2 + 1.72032));
  // 9 rows: an owner has 3.
  CHECK(near(estimate(Strategy::kTwoShot, 4, 9), 0.5 + 2 + 2.58048));
}

TEST_CASE("multicast saves what leaves a rank, not what arrives", "[cost_model]") {
  const Transport multicast = Transport::kMulticast;
  CHECK(estimate(Strategy::kOneShot, 8, 64, multicast) == estimate(Strategy::kOneShot, 8, 64));
  CHECK(estimate(Strategy::kTwoShot, 8, 64, multicast) == estimate(Strategy::kTwoShot, 8, 64));
  // A single row: its owner sends it once instead of 7 times, but the others still wait for it.
  CHECK(estimate(Strategy::kTwoShot, 8, 1, multicast) < estimate(Strategy::kTwoShot, 8, 1));
}

TEST_CASE("one rank alone pays for the launch only", "[cost_model]") {
  CHECK(estimate(Strategy::kOneShot, 1, 1000) == 0.5);
  CHECK(estimate(Strategy::kTwoShot, 1, 1000) == 0.5);
}

TEST_CASE("two ranks never gain from a second hop", "[cost_model]") {
  for (std::int64_t tokens = 1; tokens < 1 << 20; tokens *= 2) {
    CHECK(estimate(Strategy::kOneShot, 2, tokens) < estimate(Strategy::kTwoShot, 2, tokens));
  }
}

TEST_CASE("larger worlds turn to two-shot at fewer tokens", "[cost_model]") {
  const auto crossing = [](int world_size) {
    std::int64_t tokens = 1;
    while (estimate(Strategy::kOneShot, world_size, tokens) <= estimate(Strategy::kTwoShot, world_size, tokens)) {
      ++tokens;
    }
    return tokens;
  };
  CHECK(crossing(4) < 100);
  CHECK(crossing(8) < crossing(4));
  CHECK(crossing(72) <= crossing(8));
}

TEST_CASE("sizes beyond 64 bits do not overflow", "[cost_model]") {
  CHECK(estimate(Strategy::kOneShot, 72, INT64_MAX) > estimate(Strategy::kTwoShot, 72, INT64_MAX));
  CHECK(estimate(Strategy::kTwoShot, 72, INT64_MAX) > 1e12);
}

TEST_CASE("every target has a link", "[cost_model]") {
  for (const Target target : kTargets) {
    CHECK(link_model(target).gigabytes_per_second > 0);
    CHECK(link_model(target).latency_microseconds > 0);
  }
  // The floor of a 2048-token call of two H200, computed by hand from the measured rates.
  const double floor =
      estimate_microseconds(Strategy::kOneShot, 2, 2048, kRow, Transport::kUnicast, link_model(Target::kSm90a));
  CHECK(floor > 81.4);
  CHECK(floor < 81.6);
}
