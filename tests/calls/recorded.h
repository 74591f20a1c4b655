// Digests of outputs that a GPU gave, to be compared with those of other machines: tests/calls/recorded/h200.jsonl, a
// line a world.
#ifndef ALLNORM_TESTS_CALLS_RECORDED_H_
#define ALLNORM_TESTS_CALLS_RECORDED_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "calls/cases.h"

namespace allnorm::calls {

/// A world's cases and the digest of each one's outputs, poison and guards included; the same on every rank.
struct Recorded {
  std::string device;
  std::vector<Case> cases;
  std::vector<std::string> digests;
};

/// Worlds that are recorded: as many virtual ranks as fit on a GPU.
inline constexpr int kRecordedWorlds = 8;
inline constexpr int kRecordedCases = 64;  ///< Of each.

/// Small enough for the simulator.
std::vector<Case> cases_to_record(int world_size);
std::string digest_of_outputs(std::span<const std::uint8_t> outputs);

std::string to_json(int world_size, const Recorded& recorded);
/// Throws std::runtime_error where the text is of other cases than cases_to_record() gives now.
Recorded parse_recorded(int world_size, const std::string& json);

}  // namespace allnorm::calls

#endif  // ALLNORM_TESTS_CALLS_RECORDED_H_
