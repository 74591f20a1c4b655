#include "dispatch/spec.h"

#include <fmt/format.h>

#include "allnorm/error.h"
#include "dispatch/geometry.h"
#include "dispatch/names.h"

namespace allnorm {
namespace {

[[noreturn]] void refuse(const char* argument, const std::string& given, const std::string& allowed) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {} given, allowed: {}", argument, given, allowed));
}

template <typename Enum, std::size_t kCount>
void check_enum(const char* argument, Enum value, const std::array<Enum, kCount>& allowed) {
  if (!is_one_of(value, allowed)) refuse(argument, to_string(value), list_names(allowed));
}

void check_row(const Spec& spec) {
  check_enum("dtype", spec.dtype, kRowDataTypes);
  if (spec.gamma_dtype != spec.dtype && spec.gamma_dtype != DataType::kF32) {
    refuse("gamma_dtype", to_string(spec.gamma_dtype), fmt::format("{} (the dtype) or f32", to_string(spec.dtype)));
  }
  if (!is_hidden_dim(spec.hidden_dim, spec.dtype, spec.quant)) {
    refuse("hidden_dim", fmt::format("{}", spec.hidden_dim), allowed_hidden_dims(spec.dtype, spec.quant));
  }
}

void check_quant(const Spec& spec) {
  check_enum("quant", spec.quant, kQuants);
  if (spec.quant != Quant::kNvfp4) {
    if (spec.layout != ScaleLayout::kLinear) {
      refuse("layout", fmt::format("{} with quant {}", to_string(spec.layout), to_string(spec.quant)),
             "linear (the other layouts are for quant nvfp4)");
    }
    return;
  }
  if (spec.layout == ScaleLayout::kSwizzled8x4) {
    throw Error(ErrorCode::kInvalidArgument, "layout: swizzled_8x4 is not supported, allowed: swizzled_128x4, linear");
  }
  check_enum("layout", spec.layout, std::array{ScaleLayout::kSwizzled128x4, ScaleLayout::kLinear});
}

void check_operation(const Spec& spec) {
  check_enum("operation", spec.operation, kOperations);
  if (is_helper(spec.operation)) {
    const Spec only = helper_spec(spec.operation, spec.target, spec.world_size);
    if (spec == only) return;
    refuse("operation", fmt::format("{} in \"{}\"", to_string(spec.operation), describe(spec)), describe(only));
  }
  if (spec.operation != Operation::kAllReduce) return;
  if (spec.quant != Quant::kNone) {
    refuse("quant", fmt::format("{} with operation all_reduce", to_string(spec.quant)), "none");
  }
  if (!spec.has_output) refuse("has_output", "false with operation all_reduce", "true");
}

void check_geometry(const Spec& spec) {
  const Geometry& g = spec.geometry;
  if (!is_cluster_size(g.ctas_per_row)) {
    refuse("geometry.ctas_per_row", fmt::format("{}", g.ctas_per_row), "1, 2, 4 or 8");
  }
  if (g.warps_per_cta < 1 || g.warps_per_cta > kMaxWarpsPerCta) {
    refuse("geometry.warps_per_cta", fmt::format("{}", g.warps_per_cta), fmt::format("1 to {}", kMaxWarpsPerCta));
  }
  if (g.chunks_per_warp < 1 || g.chunks_per_warp > kMaxChunksPerWarp) {
    refuse("geometry.chunks_per_warp", fmt::format("{}", g.chunks_per_warp), fmt::format("1 to {}", kMaxChunksPerWarp));
  }
  if (!covers_row(g, spec.hidden_dim, spec.dtype)) {
    refuse("geometry", describe_chunks(g), allowed_chunks(spec.hidden_dim, spec.dtype));
  }
}

}  // namespace

bool is_helper(Operation operation) noexcept { return !is_one_of(operation, kCallOperations); }

Spec helper_spec(Operation operation, Target target, int world_size) {
  Spec spec;
  spec.target = target;
  spec.operation = operation;
  if (operation == Operation::kTestMulticast) spec.transport = Transport::kMulticast;
  spec.dtype = spec.gamma_dtype = DataType::kF32;
  spec.has_output = spec.has_residual_out = false;
  spec.world_size = static_cast<std::uint8_t>(world_size);
  spec.hidden_dim = 4;
  return spec;
}

// Both functions below name every field, so that a field added to Spec does not compile until it
// is hashed and described too: two kernels must never share a key.

std::size_t SpecHash::operator()(const Spec& spec) const noexcept {
  const auto& [target, operation, strategy, transport, dtype, gamma_dtype, quant, layout, has_output, has_residual_out,
               zero_scale_padding, pdl, world_size, geometry, hidden_dim] = spec;
  const auto& [ctas_per_row, warps_per_cta, chunks_per_warp] = geometry;
  const auto pack = [](auto... fields) {
    std::uint64_t word = 0;
    ((word = word << 8 | static_cast<std::uint8_t>(fields)), ...);
    return word;
  };
  // The finaliser of splitmix64 (Steele, Lea, Flood 2014).
  const auto mix = [](std::uint64_t word) {
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
  };
  std::uint64_t hash = mix(pack(target, operation, strategy, transport, dtype, gamma_dtype, quant, layout));
  hash = mix(hash ^ pack(has_output, has_residual_out, zero_scale_padding, pdl, world_size, ctas_per_row, warps_per_cta,
                         chunks_per_warp));
  return mix(hash ^ static_cast<std::uint32_t>(hidden_dim));
}

std::string describe(const Spec& spec) {
  const auto& [target, operation, strategy, transport, dtype, gamma_dtype, quant, layout, has_output, has_residual_out,
               zero_scale_padding, pdl, world_size, geometry, hidden_dim] = spec;
  const auto& [ctas_per_row, warps_per_cta, chunks_per_warp] = geometry;
  return fmt::format(
      "target={} operation={} strategy={} transport={} dtype={} gamma_dtype={} quant={} layout={} "
      "has_output={:d} has_residual_out={:d} zero_scale_padding={:d} pdl={} world_size={} "
      "ctas_per_row={} warps_per_cta={} chunks_per_warp={} hidden_dim={}",
      to_string(target), to_string(operation), to_string(strategy), to_string(transport), to_string(dtype),
      to_string(gamma_dtype), to_string(quant), to_string(layout), has_output, has_residual_out, zero_scale_padding,
      to_string(pdl), world_size, ctas_per_row, warps_per_cta, chunks_per_warp, hidden_dim);
}

void check_spec(const Spec& spec) {
  check_enum("target", spec.target, kTargets);
  check_enum("strategy", spec.strategy, kKernelStrategies);
  check_enum("transport", spec.transport, kTransports);
  check_enum("pdl", spec.pdl, kPdls);
  if (spec.world_size < 1 || spec.world_size > kMaxWorldSize) {
    refuse("world_size", fmt::format("{}", spec.world_size), fmt::format("1 to {}", kMaxWorldSize));
  }
  check_quant(spec);
  check_operation(spec);
  check_row(spec);
  check_geometry(spec);
}

}  // namespace allnorm
