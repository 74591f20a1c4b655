#include "api/validate.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "api/overlap.h"
#include "dispatch/geometry.h"

namespace allnorm {
namespace {

constexpr std::uintptr_t kAlignment = 16;

[[noreturn]] void refuse(const char* argument, const std::string& given, const std::string& allowed) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {} was given; {}", argument, given, allowed));
}

bool is_arithmetic(DataType dtype) {
  return dtype == DataType::kF32 || dtype == DataType::kF16 || dtype == DataType::kBF16;
}

void check_input(const Tensor& input, Quant quant) {
  if (!is_arithmetic(input.dtype)) refuse("input.dtype", to_string(input.dtype), "f32, f16 or bf16 is allowed");
  // Without an upper bound the sizes in bytes could overflow.
  if (input.rows < 0 || input.rows > kMaxCallTokens) {
    refuse("input.rows (num_tokens)", fmt::format("{}", input.rows), fmt::format("0 to {} is allowed", kMaxCallTokens));
  }
  if (!is_hidden_dim(input.columns, input.dtype, quant)) {
    refuse("input.columns (hidden_dim)", fmt::format("{}", input.columns),
           fmt::format("{} are allowed", allowed_hidden_dims(input.dtype, quant)));
  }
}

void check_shape(const char* argument, const Tensor& tensor, std::int64_t rows, std::int64_t columns) {
  if (tensor.rows == rows && tensor.columns == columns) return;
  refuse(argument, fmt::format("[{}, {}]", tensor.rows, tensor.columns),
         fmt::format("[{}, {}] is needed", rows, columns));
}

void check_dtype(const char* argument, const Tensor& tensor, DataType needed) {
  if (tensor.dtype != needed) {
    refuse(argument, fmt::format("dtype {}", to_string(tensor.dtype)), fmt::format("{} is needed", to_string(needed)));
  }
}

void check_dtype(const char* argument, const Tensor& tensor, DataType one, DataType other) {
  if (one == other) return check_dtype(argument, tensor, one);
  if (tensor.dtype != one && tensor.dtype != other) {
    refuse(argument, fmt::format("dtype {}", to_string(tensor.dtype)),
           fmt::format("{} or {} is needed", to_string(one), to_string(other)));
  }
}

void check_like_input(const char* argument, const Tensor& tensor, const Tensor& input) {
  check_dtype(argument, tensor, input.dtype);
  check_shape(argument, tensor, input.rows, input.columns);
}

void check_given(const char* argument, const Tensor& tensor, const char* why) {
  if (tensor.data == nullptr) refuse(argument, "a null pointer", why);
}

void check_not_given(const char* argument, const Tensor& tensor, const char* why) {
  if (tensor.data != nullptr) refuse(argument, "a tensor", why);
}

void check_aligned(const char* argument, const void* data, std::uintptr_t alignment) {
  if (reinterpret_cast<std::uintptr_t>(data) % alignment != 0) {
    refuse(argument, fmt::format("address {}", data), fmt::format("a multiple of {} bytes is needed", alignment));
  }
}

void check_quant_out(const FusedCall& call) {
  const std::int64_t rows = call.input.rows;
  const std::int64_t columns = call.input.columns;
  if (call.quant == Quant::kNvfp4) {
    check_dtype("quant_out", call.quant_out, DataType::kU8, DataType::kE2M1x2);
    check_shape("quant_out", call.quant_out, rows, columns / 2);
  } else {
    check_dtype("quant_out", call.quant_out, DataType::kE4M3);
    check_shape("quant_out", call.quant_out, rows, columns);
  }
}

void check_scale_out(const FusedCall& call) {
  const std::int64_t rows = call.input.rows;
  const std::int64_t columns = call.input.columns;
  if (call.quant == Quant::kDynamicFp8) {
    check_dtype("scale_out", call.scale_out, DataType::kF32);
    check_shape("scale_out", call.scale_out, rows, 1);
  } else if (call.quant == Quant::kNvfp4) {
    check_dtype("scale_out", call.scale_out, DataType::kE4M3, DataType::kU8);
    if (call.layout == ScaleLayout::kLinear) {
      check_shape("scale_out", call.scale_out, rows, columns / 16);
    } else {
      const auto bytes = nvfp4_scale_bytes(rows, static_cast<int>(columns), call.layout);
      check_shape("scale_out", call.scale_out, 1, static_cast<std::int64_t>(bytes));
    }
  } else {
    check_not_given("scale_out", call.scale_out, "fp8 with a static scale has none");
  }
}

void check_layout(const FusedCall& call) {
  if (call.layout == ScaleLayout::kLinear || call.layout == ScaleLayout::kSwizzled128x4) return;
  refuse("layout", fmt::format("{} ({})", to_string(call.layout), static_cast<int>(call.layout)),
         "swizzled_128x4 (0) or linear (2) is allowed");
}

void check_strategy(Strategy strategy) {
  if (strategy == Strategy::kOneShot || strategy == Strategy::kTwoShot || strategy == Strategy::kAuto) return;
  refuse("strategy", fmt::format("{}", static_cast<int>(strategy)),
         "one_shot (0), two_shot (1) or auto (99) is allowed");
}

void check_numbers(const FusedCall& call) {
  if (call.epsilon && !(*call.epsilon >= 0.0f && std::isfinite(*call.epsilon))) {
    refuse("epsilon", fmt::format("{}", *call.epsilon), "a finite number >= 0 is allowed");
  }
  if (!std::isfinite(call.weight_bias)) {
    refuse("weight_bias", fmt::format("{}", call.weight_bias), "a finite number is allowed");
  }
  if (call.output_scale_pointer == nullptr && !(std::isfinite(call.output_scale) && call.output_scale != 0.0f)) {
    refuse("output_scale", fmt::format("{}", call.output_scale), "a finite number other than 0 is allowed");
  }
}

/// Before shapes: a tensor that was left out has no shape to complain of.
void check_all_given(const FusedCall& call) {
  check_given("input", call.input, "a tensor is needed");
  check_given("residual_in", call.residual_in, "a tensor is needed");
  check_given("gamma", call.gamma, "a tensor is needed");
  if (call.quant != Quant::kNone) check_given("quant_out", call.quant_out, "a tensor is needed");
  if (call.quant == Quant::kNvfp4 || call.quant == Quant::kDynamicFp8) {
    check_given("scale_out", call.scale_out, "a tensor is needed");
  }
}

void check_alignments(const FusedCall& call) {
  check_aligned("input", call.input.data, kAlignment);
  check_aligned("residual_in", call.residual_in.data, kAlignment);
  check_aligned("gamma", call.gamma.data, kAlignment);
  check_aligned("output", call.output.data, kAlignment);
  check_aligned("residual_out", call.residual_out.data, kAlignment);
  check_aligned("quant_out", call.quant_out.data, kAlignment);
  check_aligned("scale_out", call.scale_out.data, size_of(call.scale_out.dtype));
  check_aligned("output_scale_pointer", call.output_scale_pointer, sizeof(float));
}

void check_quant(const FusedCall& call, bool quantized) {
  const bool known = call.quant == Quant::kNone || call.quant == Quant::kFp8 || call.quant == Quant::kNvfp4 ||
                     call.quant == Quant::kDynamicFp8;
  if (quantized && (!known || call.quant == Quant::kNone)) {
    refuse("quant", fmt::format("{} ({})", to_string(call.quant), static_cast<int>(call.quant)),
           "fp8 (1), nvfp4 (2) or dynamic_fp8 (3) is allowed; fused_allreduce_add_rmsnorm is the call without "
           "quantization");
  }
  if (!quantized && call.quant != Quant::kNone) {
    refuse("quant", fmt::format("{} ({})", to_string(call.quant), static_cast<int>(call.quant)),
           "none (0) is allowed; fused_allreduce_add_rmsnorm_quant is the call with quantization");
  }
}

void check_memory_of(Workspace::Impl& workspace, const char* argument, const void* address) {
  if (address == nullptr || workspace.known_addresses.contains(address)) return;
  const Device::AddressRange range = workspace.device().range_of(address);
  const int wanted = workspace.device().ordinal();
  if (range.device != wanted) {
    refuse(argument, range.device < 0 ? "memory that is not of a GPU" : fmt::format("memory of GPU {}", range.device),
           fmt::format("rank {} runs on GPU {} and needs memory of that GPU", workspace.rank, wanted));
  }
  workspace.known_addresses.insert(range);
}

}  // namespace

bool is_valid_input(const Tensor& input, Quant quant) noexcept {
  return is_arithmetic(input.dtype) && input.rows >= 0 && input.rows <= kMaxCallTokens &&
         is_hidden_dim(input.columns, input.dtype, quant);
}

void validate(const FusedCall& call, bool quantized, Pointers pointers) {
  check_quant(call, quantized);
  check_strategy(call.strategy);
  check_layout(call);
  check_input(call.input, call.quant);
  const bool has_tokens = call.input.rows > 0;
  // Which outputs there are decides the kernel, so that prepare() must know it as well.
  if (!quantized && has_tokens) check_given("output", call.output, "the call without quantization needs it");
  if (pointers == Pointers::kChecked && has_tokens) check_all_given(call);
  check_like_input("residual_in", call.residual_in, call.input);
  check_dtype("gamma", call.gamma, call.input.dtype, DataType::kF32);
  check_shape("gamma", call.gamma, 1, call.input.columns);
  check_numbers(call);
  if (call.output.data != nullptr) check_like_input("output", call.output, call.input);
  if (call.residual_out.data != nullptr) check_like_input("residual_out", call.residual_out, call.input);
  if (quantized) {
    check_quant_out(call);
    check_scale_out(call);
  } else {
    check_not_given("quant_out", call.quant_out, "the call without quantization has none");
    check_not_given("scale_out", call.scale_out, "the call without quantization has none");
  }
  if (pointers == Pointers::kIgnored || !has_tokens) return;
  check_alignments(call);
  check_overlaps(call);
}

void validate(const AllReduceCall& call, Pointers pointers) {
  check_strategy(call.strategy);
  check_input(call.input, Quant::kNone);
  const bool follows_pointers = pointers == Pointers::kChecked && call.input.rows > 0;
  if (follows_pointers) {
    check_given("input", call.input, "a tensor is needed");
    check_given("output", call.output, "a tensor is needed");
  }
  check_like_input("output", call.output, call.input);
  if (!follows_pointers) return;
  check_aligned("input", call.input.data, kAlignment);
  check_aligned("output", call.output.data, kAlignment);
  check_overlaps(call);
}

void check_capacity(const Workspace::Impl& workspace, const Tensor& input, Strategy strategy) {
  if (workspace.world_size == 1) return;
  const auto row_bytes = input.columns * static_cast<std::int64_t>(size_of(input.dtype));
  if (row_bytes > workspace.options.max_row_bytes) {
    throw Error(ErrorCode::kCapacity,
                fmt::format("input: rows of {} bytes ({} {}) were given; this workspace holds rows of up to {} bytes "
                            "(WorldOptions::max_row_bytes)",
                            row_bytes, input.columns, to_string(input.dtype), workspace.options.max_row_bytes));
  }
  const bool one_shot = strategy == Strategy::kOneShot;
  const std::int64_t holds = one_shot ? workspace.capacity.one_shot : workspace.capacity.two_shot;
  if (input.rows > holds) {
    throw Error(
        ErrorCode::kCapacity,
        fmt::format("input: {} tokens were given; this workspace holds {} for {} (WorldOptions::{})", input.rows, holds,
                    to_string(strategy), one_shot ? "max_tokens_one_shot" : "max_tokens_two_shot"));
  }
}

void check_memory(Workspace::Impl& workspace, const FusedCall& call) {
  check_memory_of(workspace, "input", call.input.data);
  check_memory_of(workspace, "residual_in", call.residual_in.data);
  check_memory_of(workspace, "gamma", call.gamma.data);
  check_memory_of(workspace, "output", call.output.data);
  check_memory_of(workspace, "residual_out", call.residual_out.data);
  check_memory_of(workspace, "quant_out", call.quant_out.data);
  check_memory_of(workspace, "scale_out", call.scale_out.data);
  check_memory_of(workspace, "output_scale_pointer", call.output_scale_pointer);
}

void check_memory(Workspace::Impl& workspace, const AllReduceCall& call) {
  check_memory_of(workspace, "input", call.input.data);
  check_memory_of(workspace, "output", call.output.data);
}

}  // namespace allnorm
