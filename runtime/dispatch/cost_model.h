// How long a call should take, from the links' latency and bandwidth: what decides between the
// strategies where no tuned table fits.
//
// With N ranks, T tokens and rows of R bytes, a call takes
//
//   launch + hops * latency + bytes / bandwidth
//
//   one-shot   1 hop    Each rank sends its T rows to N-1 peers: (N-1) T R bytes out by unicast,
//                       T R by multicast. In come (N-1) T R bytes, by either transport.
//   two-shot   2 hops   An owner has T/N rows, rounded up. It takes N-1 of each, and sends the sums
//                       to N-1 peers: (N-1) T/N R bytes in each hop, 2 (N-1) T/N R in all.
//
// Links carry both directions at once, so the bytes that count are the larger of those that leave
// and those that arrive. Hence multicast does not make a call shorter here: it saves stores, but
// the same bytes arrive. Left out: the time in the rank's own memory and arithmetic, which is the
// same for both strategies; so times are floors, and only their order is to be relied on.
//
// Thread safety: stateless. Neither allocates nor locks.
#ifndef ALLNORM_DISPATCH_COST_MODEL_H_
#define ALLNORM_DISPATCH_COST_MODEL_H_

#include <cstdint>

#include "dispatch/spec.h"

namespace allnorm {

struct LinkModel {
  double launch_microseconds;   ///< An empty kernel in a graph.
  double latency_microseconds;  ///< A store until the peer sees it.
  double gigabytes_per_second;  ///< Plain stores, in one direction; 1 GB = 1e9 bytes.
};

/// The links that GPUs of an architecture have.
LinkModel link_model(Target target) noexcept;

double estimate_microseconds(Strategy strategy, int world_size, std::int64_t tokens, std::int64_t row_bytes,
                             Transport transport, const LinkModel& link) noexcept;

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_COST_MODEL_H_
