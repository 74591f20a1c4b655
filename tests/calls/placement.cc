#include "calls/placement.h"

#include <bit>

namespace allnorm::calls {
namespace {

std::size_t matrix_bytes(const Case& c) { return static_cast<std::size_t>(c.elements()) * size_of(c.dtype); }

std::size_t quant_bytes(const Case& c) {
  const auto elements = static_cast<std::size_t>(c.elements());
  switch (c.quant) {
    case Quant::kNone: return 0;
    case Quant::kNvfp4: return elements / 2;
    default: return elements;
  }
}

std::size_t scale_bytes(const Case& c) {
  switch (c.quant) {
    case Quant::kNvfp4: return nvfp4_scale_bytes(c.tokens, c.hidden_dim, c.layout);
    case Quant::kDynamicFp8: return static_cast<std::size_t>(c.tokens) * sizeof(float);
    default: return 0;
  }
}

/// The data types that the call allows for codes and scales take turns.
Tensor quant_tensor(const Case& c, void* data) {
  if (c.quant != Quant::kNvfp4) return {data, DataType::kE4M3, c.tokens, c.hidden_dim};
  return {data, c.seed % 2 == 0 ? DataType::kU8 : DataType::kE2M1x2, c.tokens, c.hidden_dim / 2};
}

Tensor scale_tensor(const Case& c, void* data) {
  if (c.quant == Quant::kDynamicFp8) return {data, DataType::kF32, c.tokens, 1};
  const DataType dtype = c.seed % 4 < 2 ? DataType::kU8 : DataType::kE4M3;
  if (c.layout == ScaleLayout::kLinear) return {data, dtype, c.tokens, c.hidden_dim / 16};
  return {data, dtype, 1, static_cast<std::int64_t>(scale_bytes(c))};
}

}  // namespace

Placement place_outputs(const Case& c, Layout& layout) {
  Placement p;
  const std::size_t begin = layout.size();
  if (c.has_output) p.output = layout.take(matrix_bytes(c));
  if (c.has_residual_out) p.residual_out = layout.take(matrix_bytes(c));
  p.quant_out = layout.take(quant_bytes(c));
  p.scale_out = layout.take(scale_bytes(c));
  if (c.output_in_place) p.input = p.output;
  if (c.residual_in_place) p.residual_in = p.residual_out;
  p.outputs = {begin, layout.size() - begin};
  return p;
}

void place_inputs(const Case& c, Layout& layout, Placement& p) {
  if (!c.output_in_place) p.input = layout.take(matrix_bytes(c));
  if (c.allreduce_only) return;
  if (!c.residual_in_place) p.residual_in = layout.take(matrix_bytes(c));
  p.gamma = layout.take(static_cast<std::size_t>(c.hidden_dim) * size_of(c.gamma_dtype));
  if (c.scale_by_pointer) p.output_scale = layout.take(sizeof(float));
}

AnyCall make_call(const Case& c, const Placement& p, std::byte* memory) {
  const auto matrix = [&](const Piece& piece) {
    return Tensor{memory + piece.offset, c.dtype, c.tokens, c.hidden_dim};
  };
  const PdlTrigger trigger = c.pdl == Pdl::kLateTrigger ? PdlTrigger::kLate : PdlTrigger::kEarly;
  if (c.allreduce_only) {
    return AllReduceCall{matrix(p.input), matrix(p.output), c.pdl != Pdl::kOff, trigger, c.strategy};
  }
  FusedCall call;
  call.input = matrix(p.input);
  call.residual_in = matrix(p.residual_in);
  call.gamma = {memory + p.gamma.offset, c.gamma_dtype, 1, c.hidden_dim};
  call.epsilon = c.epsilon;
  if (c.has_output) call.output = matrix(p.output);
  if (c.has_residual_out) call.residual_out = matrix(p.residual_out);
  if (c.quant != Quant::kNone) call.quant_out = quant_tensor(c, memory + p.quant_out.offset);
  if (c.quant == Quant::kNvfp4 || c.quant == Quant::kDynamicFp8) {
    call.scale_out = scale_tensor(c, memory + p.scale_out.offset);
  }
  if (c.scale_by_pointer) {
    call.output_scale = -17.0F;  // must not be used
    call.output_scale_pointer = reinterpret_cast<const float*>(memory + p.output_scale.offset);
  } else {
    call.output_scale = c.output_scale;
  }
  call.layout = c.layout;
  call.quant = c.quant;
  call.launch_with_pdl = c.pdl != Pdl::kOff;
  call.pdl_trigger = trigger;
  call.strategy = c.strategy;
  call.weight_bias = c.weight_bias;
  call.zero_scale_padding = c.zero_scale_padding;
  return call;
}

void prepare_call(Workspace& workspace, const AnyCall& call) {
  std::visit([&](const auto& each) { prepare(workspace, each); }, call);
}

AnyCall with_tokens(AnyCall call, std::int64_t tokens) {
  if (auto* const sum = std::get_if<AllReduceCall>(&call)) {
    sum->input.rows = sum->output.rows = tokens;
    return call;
  }
  auto& fused = std::get<FusedCall>(call);
  for (Tensor* tensor : {&fused.input, &fused.residual_in, &fused.output, &fused.residual_out, &fused.quant_out}) {
    if (tensor->data != nullptr) tensor->rows = tokens;
  }
  if (fused.quant != Quant::kNvfp4 || fused.layout == ScaleLayout::kLinear) {
    fused.scale_out.rows = tokens;
  } else {
    const auto hidden_dim = static_cast<int>(fused.input.columns);
    fused.scale_out.columns = static_cast<std::int64_t>(nvfp4_scale_bytes(tokens, hidden_dim, fused.layout));
  }
  return call;
}

void enqueue(Workspace& workspace, const AnyCall& call, Stream stream) {
  if (const auto* const sum = std::get_if<AllReduceCall>(&call)) return allreduce(workspace, *sum, stream);
  const auto& fused = std::get<FusedCall>(call);
  if (fused.quant == Quant::kNone) return fused_allreduce_add_rmsnorm(workspace, fused, stream);
  fused_allreduce_add_rmsnorm_quant(workspace, fused, stream);
}

void add_fill_jobs(const Case& c, const Placement& p, std::byte* memory, int rank, bool per_replay,
                   std::vector<FillJob>& jobs) {
  const auto rows = static_cast<std::uint64_t>(c.tokens);
  const auto columns = static_cast<std::uint64_t>(c.hidden_dim);
  const auto first_row = static_cast<std::uint64_t>(c.first_row);
  const auto matrix = [&](const Piece& piece, int matrix_rank) {
    jobs.push_back({memory + piece.offset, rows, columns, first_row, c.seed, static_cast<std::uint32_t>(c.pattern),
                    static_cast<std::uint32_t>(c.dtype), static_cast<std::uint32_t>(matrix_rank),
                    per_replay ? 1U : 0U});
  };
  matrix(p.input, rank);
  if (c.allreduce_only) return;
  matrix(p.residual_in, reference::kResidualRank);
  // gamma never changes: with PDL a kernel may read it before its predecessor has ended.
  jobs.push_back({memory + p.gamma.offset, 1, columns, 0, c.seed, static_cast<std::uint32_t>(c.gamma_pattern),
                  static_cast<std::uint32_t>(c.gamma_dtype), reference::kGammaRank, 0});
  if (!c.scale_by_pointer) return;
  jobs.push_back({memory + p.output_scale.offset, 1, 1, 0, std::bit_cast<std::uint32_t>(c.output_scale), kConstantWord,
                  static_cast<std::uint32_t>(DataType::kF32), 0, 0});
}

}  // namespace allnorm::calls
