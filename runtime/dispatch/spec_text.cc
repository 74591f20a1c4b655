#include "dispatch/spec_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "allnorm/error.h"
#include "dispatch/geometry.h"
#include "dispatch/names.h"

namespace allnorm {

// Each function names every field, so that one added to Spec does not compile until it is in here.

std::string to_json(const Spec& spec) {
  const auto& [target, operation, strategy, transport, dtype, gamma_dtype, quant, layout, has_output, has_residual_out,
               zero_scale_padding, pdl, world_size, geometry, hidden_dim] = spec;
  const auto& [ctas_per_row, warps_per_cta, chunks_per_warp] = geometry;
  return nlohmann::ordered_json{{"target", to_string(target)},
                                {"operation", to_string(operation)},
                                {"strategy", to_string(strategy)},
                                {"transport", to_string(transport)},
                                {"dtype", to_string(dtype)},
                                {"gamma_dtype", to_string(gamma_dtype)},
                                {"quant", to_string(quant)},
                                {"layout", to_string(layout)},
                                {"has_output", has_output},
                                {"has_residual_out", has_residual_out},
                                {"zero_scale_padding", zero_scale_padding},
                                {"pdl", to_string(pdl)},
                                {"world_size", world_size},
                                {"geometry", {ctas_per_row, warps_per_cta, chunks_per_warp}},
                                {"hidden_dim", hidden_dim}}
      .dump();
}

Spec parse_spec(const JsonField& field) {
  field.check_fields({"target", "operation", "strategy", "transport", "dtype", "gamma_dtype", "quant", "layout",
                      "has_output", "has_residual_out", "zero_scale_padding", "pdl", "world_size", "geometry",
                      "hidden_dim"});
  const auto geometry = [&]() -> Geometry {
    const std::vector<JsonField> parts = field["geometry"].items();
    if (parts.size() != 3) field["geometry"].refuse("[ctas_per_row, warps_per_cta, chunks_per_warp]");
    const auto part = [&](std::size_t i) { return static_cast<std::uint8_t>(parts[i].integer(1, 255)); };
    return {part(0), part(1), part(2)};
  };
  const Spec spec = {.target = field["target"].name(kTargets),
                     .operation = field["operation"].name(kOperations),
                     .strategy = field["strategy"].name(kKernelStrategies),
                     .transport = field["transport"].name(kTransports),
                     .dtype = field["dtype"].name(kRowDataTypes),
                     .gamma_dtype = field["gamma_dtype"].name(kRowDataTypes),
                     .quant = field["quant"].name(kQuants),
                     .layout = field["layout"].name(kLayouts),
                     .has_output = field["has_output"].boolean(),
                     .has_residual_out = field["has_residual_out"].boolean(),
                     .zero_scale_padding = field["zero_scale_padding"].boolean(),
                     .pdl = field["pdl"].name(kPdls),
                     .world_size = static_cast<std::uint8_t>(field["world_size"].integer(1, kMaxWorldSize)),
                     .geometry = geometry(),
                     .hidden_dim = static_cast<std::int32_t>(field["hidden_dim"].integer(1, kMaxHiddenDim))};
  check_spec(spec);
  return spec;
}

std::string warm_command(const Spec& spec) {
  const auto& [target, operation, strategy, transport, dtype, gamma_dtype, quant, layout, has_output, has_residual_out,
               zero_scale_padding, pdl, world_size, geometry, hidden_dim] = spec;
  const auto& [ctas_per_row, warps_per_cta, chunks_per_warp] = geometry;
  if (is_helper(operation)) {
    return fmt::format("allnorm warm --arch {} --world {} --operation {}", to_string(target), world_size,
                       to_string(operation));
  }
  std::string line = fmt::format("allnorm warm --arch {} --world {} --hidden {} --dtype {} --gamma-dtype {}",
                                 to_string(target), world_size, hidden_dim, to_string(dtype), to_string(gamma_dtype));
  line += fmt::format(" --quant {}", to_string(quant));
  if (quant == Quant::kNvfp4) line += fmt::format(" --layout {}", to_string(layout));
  line += fmt::format(" --strategy {} --geometry {}x{}x{} --pdl {}", to_string(strategy), ctas_per_row, warps_per_cta,
                      chunks_per_warp,
                      pdl == Pdl::kOff           ? "off"
                      : pdl == Pdl::kLateTrigger ? "late"
                                                 : "early");
  if (transport != Transport::kUnicast) line += fmt::format(" --transport {}", to_string(transport));
  if (operation != Operation::kFused) line += fmt::format(" --operation {}", to_string(operation));
  if (!has_output) line += " --no-output";
  if (!has_residual_out && operation == Operation::kFused) line += " --no-residual-out";
  if (zero_scale_padding) line += " --zero-scale-padding";
  return line;
}

}  // namespace allnorm
