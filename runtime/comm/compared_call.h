// What the ranks compare of a call in checked mode: packed for the device, and in words for people.
#ifndef ALLNORM_COMM_COMPARED_CALL_H_
#define ALLNORM_COMM_COMPARED_CALL_H_

#include <array>
#include <cstdint>
#include <string>

#include "dispatch/spec.h"
#include "kernels_src/params.cuh"

namespace allnorm {

using ComparedWords = std::array<std::uint32_t, allnorm_kernel::kComparedWords>;

/// Of the spec, what is neither number. A refused call's numbers may be any. The strategy of a call without tokens,
/// which launches nothing, does not matter.
ComparedWords compared_words(const Spec& spec, std::int64_t hidden_dim, std::int64_t tokens, bool refused);

/// "rank 0 has tokens 8, rank 1 has tokens 16", of the call with so many before it, from what has arrived in `control`;
/// without values where they have not.
std::string describe_difference(const allnorm_kernel::Control& control, std::uint64_t calls_before, int rank,
                                int other_rank);

}  // namespace allnorm

#endif  // ALLNORM_COMM_COMPARED_CALL_H_
