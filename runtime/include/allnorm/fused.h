// The calls: AllReduce + residual + RMSNorm + quantization in one kernel, and its sisters.
//
//   h      = sum over ranks of input + residual_in          -> residual_out
//   n      = h / sqrt(mean(h^2) + epsilon) * (gamma + weight_bias)   -> output
//   quant  = FP8, NVFP4 or dynamic FP8 of n                 -> quant_out, scale_out
//
// A call checks its arguments, then launches one kernel on the stream; all ranks must make it. It throws
// kInvalidArgument, kCapacity, kUnsupported, kNotPrepared (in stream capture, without an earlier prepare()),
// kCacheMiss, kCompiler or kDriver, and has then launched nothing. What is computed, to the bit, is in docs/design.md,
// section 3.
//
// All tensors are dense, row-major, 16-byte aligned memory of the rank's GPU, and must live until the stream has passed
// the call. residual_out may be residual_in and output may be input, exactly; any other overlap of an output is an
// error. After a peer gave up (Workspace::status()) the outputs are undefined.
//
// The first call of a kind compiles (60 to 300 ms) and loads a kernel; prepare() does that beforehand. Load before
// ranks begin to wait for each other: a load may wait for a kernel that runs.
#ifndef ALLNORM_FUSED_H_
#define ALLNORM_FUSED_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "allnorm/types.h"
#include "allnorm/workspace.h"

namespace allnorm {

/// Programmatic dependent launch. The kernel waits for all earlier work of its stream before it reads anything; kEarly
/// lets the next kernel start right then, kLate at the end. Every kernel that is
/// launched with PDL between two calls on a workspace must itself execute griddepcontrol.wait, whatever it reads or
/// writes: else the later call could overtake the earlier one. Ignored for virtual ranks.
enum class PdlTrigger : std::uint8_t { kEarly = 0, kLate = 1 };

struct FusedCall {
  Tensor input;        ///< [num_tokens, hidden_dim] f32, f16 or bf16: this rank's partial sum.
  Tensor residual_in;  ///< Like input.
  Tensor gamma;        ///< [1, hidden_dim] of input's dtype or f32.
  /// Default: the machine epsilon of input's dtype (2^-23, 2^-10, 2^-7). Must be >= 0.
  std::optional<float> epsilon{};
  Tensor output{};        ///< Like input; optional with quantization.
  Tensor residual_out{};  ///< Like input; optional.
  Tensor quant_out{};     ///< FP8: [num_tokens, hidden_dim] e4m3. NVFP4: [num_tokens, hidden_dim / 2] u8 or e2m1x2.
  /// NVFP4: e4m3 (or u8), linear [num_tokens, hidden_dim / 16], swizzled [1, nvfp4_scale_bytes()]. Dynamic FP8:
  /// [num_tokens, 1] f32. Static FP8 and none: not given.
  Tensor scale_out{};
  float output_scale = 1.0f;  ///< FP8 divides by it, NVFP4 multiplies. Not used by dynamic FP8.
  /// Overrides output_scale: one f32 on the GPU, read by the kernel.
  const float* output_scale_pointer = nullptr;
  ScaleLayout layout = ScaleLayout::kSwizzled128x4;  ///< Used by NVFP4 alone.
  Quant quant = Quant::kNone;
  bool launch_with_pdl = false;
  PdlTrigger pdl_trigger = PdlTrigger::kEarly;
  Strategy strategy = Strategy::kAuto;
  float weight_bias = 0.0f;
  /// Zero the padding of a swizzled scale_out as well.
  bool zero_scale_padding = false;
};

struct AllReduceCall {
  Tensor input;   ///< [num_tokens, hidden_dim] f32, f16 or bf16.
  Tensor output;  ///< Like input.
  bool launch_with_pdl = false;
  PdlTrigger pdl_trigger = PdlTrigger::kEarly;
  Strategy strategy = Strategy::kAuto;
};

/// With quantization: `call.quant` must not be kNone.
ALLNORM_EXPORT void fused_allreduce_add_rmsnorm_quant(Workspace& workspace, const FusedCall& call, Stream stream);
/// Without: `call.quant` must be kNone, and `call.output` given.
ALLNORM_EXPORT void fused_allreduce_add_rmsnorm(Workspace& workspace, const FusedCall& call, Stream stream);
/// The sum alone.
ALLNORM_EXPORT void allreduce(Workspace& workspace, const AllReduceCall& call, Stream stream);

/// A kernel is ready.
struct PrepareProgress {
  std::size_t done;  ///< Of those that had to be compiled or read, this one included.
  std::size_t total;
  std::string kernel;  ///< What it is for, in words.
  bool compiled;       ///< False: it was read from the cache.
  double seconds;      ///< In the compiler.
};

struct PrepareOptions {
  int parallel = 0;  ///< Kernels to compile at once; 0: as many as the CPU has cores, at most 8.
  /// Called from threads of the library, one at a time. What it throws ends prepare().
  std::function<void(const PrepareProgress&)> on_progress{};
};

/// Compiles and loads every kernel that such calls can need for 1 to num_tokens tokens each. Only shapes, dtypes,
/// options and which of `output` and `residual_out` are given (not null) matter: the pointers are not followed. Call it
/// for all ranks before the first call.
ALLNORM_EXPORT void prepare(Workspace& workspace, std::span<const FusedCall> calls, const PrepareOptions& options = {});
ALLNORM_EXPORT void prepare(Workspace& workspace, const FusedCall& call, const PrepareOptions& options = {});
ALLNORM_EXPORT void prepare(Workspace& workspace, const AllReduceCall& call, const PrepareOptions& options = {});

}  // namespace allnorm

#endif  // ALLNORM_FUSED_H_
