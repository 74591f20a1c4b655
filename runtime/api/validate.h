// Argument checks of the calls. Everything is checked before anything is launched or written; every message names the
// argument, what was given and what is allowed.
#ifndef ALLNORM_API_VALIDATE_H_
#define ALLNORM_API_VALIDATE_H_

#include "allnorm/fused.h"
#include "comm/workspace_impl.h"

namespace allnorm {

/// A call that will be launched has pointers; one that is prepared need not.
enum class Pointers { kChecked, kIgnored };

/// Throws kInvalidArgument. `quantized`: the call is the one with quantization.
void validate(const FusedCall& call, bool quantized, Pointers pointers);
void validate(const AllReduceCall& call, Pointers pointers);

/// Whether dtype, tokens and hidden_dim are such that a strategy can be chosen for them.
bool is_valid_input(const Tensor& input, Quant quant) noexcept;

/// Throws kCapacity, saying how many tokens the workspace holds.
void check_capacity(const Workspace::Impl& workspace, const Tensor& input, Strategy strategy);

/// Throws kInvalidArgument if a tensor is not memory of the workspace's GPU. Remembers what it saw.
void check_memory(Workspace::Impl& workspace, const FusedCall& call);
void check_memory(Workspace::Impl& workspace, const AllReduceCall& call);

}  // namespace allnorm

#endif  // ALLNORM_API_VALIDATE_H_
