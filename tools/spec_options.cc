#include "spec_options.h"

#include <array>

#include "allnorm/error.h"
#include "dispatch/geometry.h"

namespace allnorm::tools {
namespace {

/// A decode step: few tokens on a GPU of this many multiprocessors. Only the default geometry depends on them.
constexpr int kTokens = 16;
constexpr int kMultiprocessors = 132;

struct FieldFlag {
  const char* field;
  const char* flag;
};
constexpr FieldFlag kFlags[] = {{"target", "--target"},       {"strategy", "--strategy"},
                                {"transport", "--transport"}, {"pdl", "--pdl"},
                                {"world_size", "--world"},    {"quant", "--quant"},
                                {"layout", "--layout"},       {"operation", "--operation"},
                                {"dtype", "--dtype"},         {"gamma_dtype", "--gamma-dtype"},
                                {"hidden_dim", "--hidden"}};

}  // namespace

std::string name_flag(const std::string& message) {
  for (const FieldFlag& f : kFlags) {
    const std::string field = std::string(f.field) + ":";
    if (message.starts_with(field)) return std::string(f.flag) + message.substr(field.size() - 1);
  }
  if (message.starts_with("geometry")) return "--" + message;
  return message;
}

Geometry parse_geometry(const std::string& text) {
  constexpr const char* kAllowed = "CTAS_PER_ROWxWARPS_PER_CTAxCHUNKS_PER_WARP, such as 4x7x1";
  std::array<std::uint8_t, 3> parts{};
  std::size_t begin = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t end = i + 1 < parts.size() ? text.find('x', begin) : text.size();
    if (end == std::string::npos) refuse("--geometry", "\"" + text + "\"", kAllowed);
    try {
      parts[i] = static_cast<std::uint8_t>(parse_integer("", text.substr(begin, end - begin), 1, 255));
    } catch (const UsageError&) {
      refuse("--geometry", "\"" + text + "\"", kAllowed);
    }
    begin = end + 1;
  }
  return {parts[0], parts[1], parts[2]};
}

SpecOptions::SpecOptions(CLI::App& app) {
  spec_.world_size = 2;
  spec_.hidden_dim = 7168;
  add_name(app, "--target", spec_.target, kTargets, "GPU to compile for, or host for the simulator, default sm_90a");
  add_integer(app, "--world", spec_.world_size, 1, kMaxWorldSize, "Ranks, default 2");
  add_integer(app, "--hidden", spec_.hidden_dim, 1, kMaxHiddenDim, "Elements of a row, default 7168");
  add_name(app, "--dtype", spec_.dtype, kRowDataTypes, "Elements of rows, default bf16");
  add_name(app, "--gamma-dtype", gamma_dtype_, kRowDataTypes, "Elements of gamma, the dtype (default) or f32");
  add_name(app, "--quant", spec_.quant, kQuants, "Quantization, default none");
  add_name(app, "--layout", layout_, kLayouts, "Of nvfp4's scales, default swizzled_128x4");
  add_name(app, "--strategy", spec_.strategy, kKernelStrategies, "Default one_shot");
  add_name(app, "--transport", spec_.transport, kTransports, "Default unicast");
  add_name(app, "--operation", spec_.operation, kOperations, "Default fused");
  app.add_flag("--no-output", no_output_, "Do not write the normalised rows");
  app.add_flag("--no-residual-out", no_residual_out_, "Do not write the sum with the residual");
  app.add_flag("--zero-scale-padding", spec_.zero_scale_padding, "Zero the padding of swizzled scales");
  app.add_option_function<std::string>(
         "--pdl", [this](const std::string& text) { spec_.pdl = parse_pdl_flag(text); },
         "Programmatic dependent launch, default off: off, early, late")
      ->type_name("NAME");
  app.add_option("--geometry", geometry_,
                 "CTAs a row x warps a CTA x chunks a warp, such as 4x7x1; default: what is taken for a few tokens")
      ->type_name("CxWxK");
}

Spec SpecOptions::spec() const {
  if (is_helper(spec_.operation)) return helper_spec(spec_.operation, spec_.target, spec_.world_size);
  Spec spec = spec_;
  const bool fused = spec.operation == Operation::kFused;
  spec.gamma_dtype = gamma_dtype_.value_or(spec.dtype);
  spec.layout = layout_.value_or(spec.quant == Quant::kNvfp4 ? ScaleLayout::kSwizzled128x4 : ScaleLayout::kLinear);
  if (!fused && no_output_) refuse("--no-output", "with --operation all_reduce", "with --operation fused");
  spec.has_output = !no_output_;
  spec.has_residual_out = fused && !no_residual_out_;
  if (spec.zero_scale_padding && spec.layout != ScaleLayout::kSwizzled128x4) {
    refuse("--zero-scale-padding",
           fmt::format("with quant {} and layout {}", to_string(spec.quant), to_string(spec.layout)),
           "with --quant nvfp4 and --layout swizzled_128x4");
  }
  spec.geometry = geometry_.empty()
                      ? default_geometry(spec.hidden_dim, spec.dtype, kTokens, spec.world_size, kMultiprocessors)
                      : parse_geometry(geometry_);
  try {
    check_spec(spec);
  } catch (const Error& error) {
    throw UsageError(name_flag(error.what()));
  }
  return spec;
}

}  // namespace allnorm::tools
