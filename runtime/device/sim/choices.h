// Choices: every decision of a simulated run, from a seed or from a list.
//
// One thread at a time.
#ifndef ALLNORM_DEVICE_SIM_CHOICES_H_
#define ALLNORM_DEVICE_SIM_CHOICES_H_

#include <cstdint>
#include <vector>

#include "device/sim/schedule.h"

namespace allnorm::sim {

/// Out of 65536.
using Chance = std::uint32_t;

class Choices {
 public:
  explicit Choices(const Schedule& schedule);

  /// 0 to count - 1. A replay records it.
  std::uint32_t choose(std::uint32_t count) {
    if (count <= 1) return 0;
    if (policy_ == Policy::kReplay) return replay(count);
    if (policy_ == Policy::kRoundRobin) return static_cast<std::uint32_t>(turn_++ % count);
    return static_cast<std::uint32_t>((random() >> 32) * count >> 32);
  }
  /// Never in a replay or in turns.
  bool happens(Chance chance) { return chance != 0 && (random() & 0xFFFF) < chance; }

  Policy policy() const noexcept { return policy_; }
  Chance preempt() const noexcept { return preempt_; }   ///< A thread stops before an access to global memory.
  Chance commit() const noexcept { return commit_; }     ///< A store arrives, rather than that a warp runs.
  Chance stale() const noexcept { return stale_; }       ///< A load gives an older value.
  Chance single_lane() const noexcept { return lane_; }  ///< One lane of a warp runs alone.
  Chance notice() const noexcept { return notice_; }     ///< A thread polls again as soon as a store arrives.

  struct Decision {
    std::uint32_t chosen;
    std::uint32_t count;
  };
  /// What a replay went through.
  const std::vector<Decision>& decisions() const noexcept { return decisions_; }

 private:
  std::uint32_t replay(std::uint32_t count);
  /// splitmix64 (Steele, Lea, Flood 2014).
  std::uint64_t random() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  Policy policy_;
  std::uint64_t state_;
  std::uint64_t turn_ = 0;
  Chance preempt_ = 0;
  Chance commit_ = 0;
  Chance stale_ = 0;
  Chance lane_ = 0;
  Chance notice_ = 65536;
  std::vector<std::uint32_t> given_;
  std::vector<Decision> decisions_;
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_CHOICES_H_
