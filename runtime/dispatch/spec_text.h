// A Spec as text: a JSON object, which manifests and records hold, and the command that compiles it.
//
// Thread safety: everything here is stateless.
#ifndef ALLNORM_DISPATCH_SPEC_TEXT_H_
#define ALLNORM_DISPATCH_SPEC_TEXT_H_

#include <string>

#include "dispatch/json_field.h"
#include "dispatch/spec.h"

namespace allnorm {

/// One line: {"target": "sm_90a", "operation": "fused", ..., "geometry": [4, 7, 1], "hidden_dim": 7168}
std::string to_json(const Spec& spec);

/// The inverse. Throws kInvalidTable, naming file, line and field, for what is no Spec, and kInvalidArgument for one
/// that no kernel exists for.
Spec parse_spec(const JsonField& field);

/// "allnorm warm --arch sm_90a --world 2 ...": compiles this Spec and no other.
std::string warm_command(const Spec& spec);

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_SPEC_TEXT_H_
