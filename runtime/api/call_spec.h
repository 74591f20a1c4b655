// The Spec of a call, but for strategy and geometry: for tools that choose these themselves.
#ifndef ALLNORM_API_CALL_SPEC_H_
#define ALLNORM_API_CALL_SPEC_H_

#include "allnorm/fused.h"
#include "comm/workspace_impl.h"
#include "dispatch/spec.h"

namespace allnorm {

/// The call must be valid.
Spec spec_of(const Workspace::Impl& workspace, const FusedCall& call);

}  // namespace allnorm

#endif  // ALLNORM_API_CALL_SPEC_H_
