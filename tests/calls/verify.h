// Compares what the ranks wrote with the CPU reference, byte by byte, on all threads of the host.
#ifndef ALLNORM_TESTS_CALLS_VERIFY_H_
#define ALLNORM_TESTS_CALLS_VERIFY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "calls/cases.h"
#include "calls/placement.h"

namespace allnorm::calls {

/// A case whose outputs are wrong on some rank.
struct Failure {
  Case failed;
  std::uint64_t mismatches = 0;
  std::vector<std::string> first;  ///< Up to five: rank, tensor, row, column, got, expected.
};
std::string describe(const Failure& failure);

/// `images[rank]` holds the rank's memory from offset 0 up to the end of all outputs.
std::vector<Failure> verify(std::span<const Case> cases, std::span<const Placement> placements,
                            std::span<const std::uint8_t* const> images);

/// The bytes that a case leaves in placement.outputs, poison and guards included, for inputs of this seed.
std::vector<std::uint8_t> expected_outputs(const Case& c, const Placement& placement, std::uint64_t seed);

}  // namespace allnorm::calls

#endif  // ALLNORM_TESTS_CALLS_VERIFY_H_
