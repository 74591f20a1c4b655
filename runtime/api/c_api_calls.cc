// The C ABI: the calls.
#include "api/c_api.h"

namespace allnorm::c_api {
namespace {

// Bytes of the first version of each struct, for ever: members that come later are not required.
constexpr std::size_t kSmallestFusedCall = 280;
constexpr std::size_t kSmallestAllReduceCall = 88;

allnorm_fused_call fused_defaults() {
  const FusedCall defaults;
  allnorm_fused_call value{};
  value.struct_size = sizeof(value);
  value.output_scale = defaults.output_scale;
  value.epsilon = ALLNORM_DEFAULT_EPSILON;
  value.weight_bias = defaults.weight_bias;
  value.quant = static_cast<allnorm_quant>(defaults.quant);
  value.layout = static_cast<allnorm_scale_layout>(defaults.layout);
  value.strategy = static_cast<allnorm_strategy>(defaults.strategy);
  value.launch_with_pdl = defaults.launch_with_pdl;
  value.pdl_trigger = static_cast<allnorm_pdl_trigger>(defaults.pdl_trigger);
  value.zero_scale_padding = defaults.zero_scale_padding;
  return value;
}

allnorm_allreduce_call allreduce_defaults() {
  const AllReduceCall defaults;
  allnorm_allreduce_call value{};
  value.struct_size = sizeof(value);
  value.strategy = static_cast<allnorm_strategy>(defaults.strategy);
  value.launch_with_pdl = defaults.launch_with_pdl;
  value.pdl_trigger = static_cast<allnorm_pdl_trigger>(defaults.pdl_trigger);
  return value;
}

/// `argument` names the tensor's dtype. Without data its shape still counts: prepare needs no pointers.
Tensor to_tensor(const allnorm_tensor& from, const char* argument) {
  return {from.data, to_data_type(from.dtype, argument), from.rows, from.columns};
}

PdlTrigger to_trigger(allnorm_pdl_trigger number) {
  return to_enum(number, {PdlTrigger::kEarly, PdlTrigger::kLate}, "pdl_trigger");
}

FusedCall read_call(const allnorm_fused_call* given) {
  const allnorm_fused_call from = read_struct(given, kSmallestFusedCall, fused_defaults(), "call");
  FusedCall to;
  to.input = to_tensor(from.input, "input.dtype");
  to.residual_in = to_tensor(from.residual_in, "residual_in.dtype");
  to.gamma = to_tensor(from.gamma, "gamma.dtype");
  if (from.epsilon != ALLNORM_DEFAULT_EPSILON) to.epsilon = from.epsilon;
  to.output = to_tensor(from.output, "output.dtype");
  to.residual_out = to_tensor(from.residual_out, "residual_out.dtype");
  to.quant_out = to_tensor(from.quant_out, "quant_out.dtype");
  to.scale_out = to_tensor(from.scale_out, "scale_out.dtype");
  to.output_scale = from.output_scale;
  to.output_scale_pointer = from.output_scale_pointer;
  to.layout =
      to_enum(from.layout, {ScaleLayout::kSwizzled128x4, ScaleLayout::kSwizzled8x4, ScaleLayout::kLinear}, "layout");
  to.quant = to_enum(from.quant, {Quant::kNone, Quant::kFp8, Quant::kNvfp4, Quant::kDynamicFp8}, "quant");
  to.launch_with_pdl = from.launch_with_pdl != 0;
  to.pdl_trigger = to_trigger(from.pdl_trigger);
  to.strategy = to_strategy(from.strategy, "strategy");
  to.weight_bias = from.weight_bias;
  to.zero_scale_padding = from.zero_scale_padding != 0;
  return to;
}

AllReduceCall read_call(const allnorm_allreduce_call* given) {
  const allnorm_allreduce_call from = read_struct(given, kSmallestAllReduceCall, allreduce_defaults(), "call");
  AllReduceCall to;
  to.input = to_tensor(from.input, "input.dtype");
  to.output = to_tensor(from.output, "output.dtype");
  to.launch_with_pdl = from.launch_with_pdl != 0;
  to.pdl_trigger = to_trigger(from.pdl_trigger);
  to.strategy = to_strategy(from.strategy, "strategy");
  return to;
}

/// Reads the call, then hands it and the workspace to `launch`.
template <typename CCall, typename Launch>
allnorm_status forward(allnorm_workspace* workspace, const CCall* call, Launch launch) noexcept {
  return guarded([&] {
    require_pointer(workspace, "workspace");
    launch(*from_handle(workspace), read_call(call));
  });
}

}  // namespace
}  // namespace allnorm::c_api

using namespace allnorm;
using namespace allnorm::c_api;

allnorm_status allnorm_fused_call_init_sized(allnorm_fused_call* call, size_t struct_size) {
  return guarded([&] { write_struct(call, struct_size, kSmallestFusedCall, fused_defaults(), "call"); });
}

allnorm_status allnorm_allreduce_call_init_sized(allnorm_allreduce_call* call, size_t struct_size) {
  return guarded([&] { write_struct(call, struct_size, kSmallestAllReduceCall, allreduce_defaults(), "call"); });
}

allnorm_status allnorm_fused_allreduce_add_rmsnorm_quant(allnorm_workspace* workspace, const allnorm_fused_call* call,
                                                         void* stream) {
  return forward(workspace, call,
                 [&](Workspace& to, const FusedCall& what) { fused_allreduce_add_rmsnorm_quant(to, what, stream); });
}

allnorm_status allnorm_fused_allreduce_add_rmsnorm(allnorm_workspace* workspace, const allnorm_fused_call* call,
                                                   void* stream) {
  return forward(workspace, call,
                 [&](Workspace& to, const FusedCall& what) { fused_allreduce_add_rmsnorm(to, what, stream); });
}

allnorm_status allnorm_allreduce(allnorm_workspace* workspace, const allnorm_allreduce_call* call, void* stream) {
  return forward(workspace, call, [&](Workspace& to, const AllReduceCall& what) { allreduce(to, what, stream); });
}

allnorm_status allnorm_prepare_fused(allnorm_workspace* workspace, const allnorm_fused_call* call) {
  return forward(workspace, call, [](Workspace& to, const FusedCall& what) { prepare(to, what); });
}

allnorm_status allnorm_prepare_allreduce(allnorm_workspace* workspace, const allnorm_allreduce_call* call) {
  return forward(workspace, call, [](Workspace& to, const AllReduceCall& what) { prepare(to, what); });
}
