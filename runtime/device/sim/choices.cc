#include "device/sim/choices.h"

#include <array>

namespace allnorm::sim {
namespace {

constexpr Chance kOne = 65536;

}  // namespace

Choices::Choices(const Schedule& schedule)
    : policy_(schedule.policy), state_(schedule.seed * 0xD1B54A32D192ED03u), given_(schedule.replay) {
  if (policy_ == Policy::kReplay || policy_ == Policy::kRoundRobin) return;
  // Runs of different character find different faults: the seed draws that, too.
  constexpr std::array<Chance, 4> kPreempt = {0, kOne / 256, kOne / 32, kOne / 4};
  constexpr std::array<Chance, 4> kCommit = {kOne / 64, kOne / 8, kOne / 2, kOne - kOne / 64};
  constexpr std::array<Chance, 4> kStale = {0, kOne / 16, kOne / 4, kOne / 2};
  constexpr std::array<Chance, 4> kLane = {0, 0, kOne / 32, kOne / 4};
  constexpr std::array<Chance, 4> kNotice = {kOne, kOne / 4, kOne / 16, kOne / 64};
  const auto draw = [&](const std::array<Chance, 4>& from) { return from[random() >> 62]; };
  preempt_ = draw(kPreempt);
  commit_ = draw(kCommit);
  stale_ = draw(kStale);
  lane_ = draw(kLane);
  notice_ = draw(kNotice);
  if (!schedule.stale_loads) stale_ = 0;
}

std::uint32_t Choices::replay(std::uint32_t count) {
  const std::size_t at = decisions_.size();
  const std::uint32_t chosen = at < given_.size() ? given_[at] : 0;
  decisions_.push_back({chosen < count ? chosen : 0, count});
  return decisions_.back().chosen;
}

}  // namespace allnorm::sim
