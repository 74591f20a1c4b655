// The floor: the least time that a call could take on a machine, of what the machine itself was measured to take.
#ifndef ALLNORM_TOOLS_FLOOR_H_
#define ALLNORM_TOOLS_FLOOR_H_

#include <cstdint>
#include <optional>

#include "allnorm/types.h"

namespace allnorm::tools {

/// Between GPUs, of each direction while all are in use.
struct LinkFloor {
  double one_way_microseconds = 0;        ///< A store of rank 0 until rank 1 sees it.
  double store_gigabytes_per_second = 0;  ///< Out of a rank to all its peers, by a kernel; 1 GB = 1e9 bytes.
  double copy_gigabytes_per_second = 0;   ///< The same by the copy engine.
};

struct Floor {
  double empty_kernel_microseconds = 0;  ///< In a graph.
  std::optional<LinkFloor> links{};      ///< Not there: ranks that share a GPU, or a single one.
};

/// empty kernel + one-way latency * hops + bytes on the wire / the better rate. One-shot takes one hop and sends a
/// rank's rows to each of its peers, (N - 1) * tokens * row_bytes. Two-shot takes two hops: who owns o rows sends the
/// other tokens - o to their owners and its own to N - 1 peers, and as many come in; links carry both directions at
/// once, so what counts is one of them, over both hops, of whoever owns the most, ceil(tokens / N). (The cost model of
/// the dispatcher takes the hops one after the other, and is no floor.) Nothing where the ranks share a GPU.
std::optional<double> floor_microseconds(const Floor& floor, Strategy strategy, int world_size, std::int64_t tokens,
                                         std::int64_t row_bytes);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_FLOOR_H_
