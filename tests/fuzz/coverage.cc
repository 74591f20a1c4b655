#include "coverage.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace {

constexpr std::size_t kEdges = 1 << 16;
std::array<std::uint8_t, kEdges> taken;
std::uintptr_t previous = 0;

}  // namespace

/// The compiler puts a call of it into each basic block.
extern "C" void __sanitizer_cov_trace_pc();   // NOLINT(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" void __sanitizer_cov_trace_pc() {  // NOLINT(bugprone-reserved-identifier,readability-identifier-naming)
  // From a place of the program, so that an edge has one number in all runs.
  const std::uintptr_t here = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)) -
                              reinterpret_cast<std::uintptr_t>(&__sanitizer_cov_trace_pc);
  std::uint8_t& count = taken[((here * 0x9e3779b97f4a7c15) >> 40 ^ previous) % kEdges];
  if (count != 255) count++;
  previous = (here * 0x9e3779b97f4a7c15) >> 41;
}

namespace allnorm::fuzz {

void begin_coverage() {
  taken.fill(0);
  previous = 0;
}

std::vector<Feature> end_coverage() {
  std::vector<Feature> features;
  for (std::size_t at = 0; at < kEdges; at += sizeof(std::uint64_t)) {
    std::uint64_t some = 0;
    std::memcpy(&some, taken.data() + at, sizeof some);
    if (some == 0) continue;
    for (std::size_t edge = at; edge < at + sizeof some; edge++) {
      if (taken[edge] != 0) features.push_back(static_cast<Feature>(edge * 8 + std::bit_width(taken[edge]) - 1));
    }
  }
  return features;
}

}  // namespace allnorm::fuzz
