// Which tensors of a call may share memory: residual_out with residual_in and output with input, exactly; nothing else
// that an output overlaps (design, section 3, rule 10).
#ifndef ALLNORM_API_OVERLAP_H_
#define ALLNORM_API_OVERLAP_H_

#include "allnorm/fused.h"

namespace allnorm {

/// Throw kInvalidArgument naming both tensors. Tensors that are not given overlap nothing.
void check_overlaps(const FusedCall& call);
void check_overlaps(const AllReduceCall& call);

}  // namespace allnorm

#endif  // ALLNORM_API_OVERLAP_H_
