#include "kernel_origin.h"

#include <fmt/format.h>

#include "allnorm/error.h"
#include "dispatch/names.h"
#include "dispatch/spec_text.h"

namespace allnorm::tools {
namespace {

const JsonNode* find(const JsonNode& object, std::string_view name, JsonNode::Kind kind) {
  if (object.kind != JsonNode::Kind::kObject) return nullptr;
  for (const JsonNode& field : object.items) {
    if (field.key == name && field.kind == kind) return &field;
  }
  return nullptr;
}

std::optional<JsonNode> parse(const std::string& text) {
  try {
    return parse_json(text, "provenance");
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<Spec> spec_of(const JsonNode& node) {
  try {
    return parse_spec(JsonField(node, "provenance"));
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

std::string describe_briefly(const Spec& spec) {
  if (is_helper(spec.operation)) return fmt::format("{}, world {}", to_string(spec.operation), spec.world_size);
  std::string text = fmt::format("{} {}", to_string(spec.operation), to_string(spec.strategy));
  if (spec.quant != Quant::kNone) text += fmt::format(" {}", to_string(spec.quant));
  if (spec.quant == Quant::kNvfp4) text += fmt::format(" {}", to_string(spec.layout));
  text += fmt::format(", {}, hidden {}, world {}, {}x{}x{}", to_string(spec.dtype), spec.hidden_dim, spec.world_size,
                      spec.geometry.ctas_per_row, spec.geometry.warps_per_cta, spec.geometry.chunks_per_warp);
  if (spec.gamma_dtype != spec.dtype) text += fmt::format(", gamma {}", to_string(spec.gamma_dtype));
  if (spec.transport != Transport::kUnicast) text += fmt::format(", {}", to_string(spec.transport));
  if (spec.pdl != Pdl::kOff) text += fmt::format(", pdl {}", spec.pdl == Pdl::kLateTrigger ? "late" : "early");
  if (!spec.has_output) text += ", no output";
  if (!spec.has_residual_out && spec.operation == Operation::kFused) text += ", no residual out";
  if (spec.zero_scale_padding) text += ", zero padding";
  return text;
}

std::optional<Spec> parse_spec_text(const std::string& json) {
  const auto root = parse(json);
  return root ? spec_of(*root) : std::nullopt;
}

KernelOrigin parse_origin(const std::string& provenance) {
  using Kind = JsonNode::Kind;
  KernelOrigin origin;
  const auto root = parse(provenance);
  if (!root) return origin;
  if (const JsonNode* key = find(*root, "key", Kind::kObject)) {
    for (const JsonNode& field : key->items) {
      if (field.kind == Kind::kString) origin.key.emplace_back(field.key, field.text);
    }
  }
  if (const JsonNode* spec = find(*root, "spec", Kind::kObject)) origin.spec = spec_of(*spec);
  if (const JsonNode* nvrtc = find(*root, "nvrtc", Kind::kString)) {
    origin.compiler = "NVRTC " + nvrtc->text;
  } else if (const JsonNode* compiler = find(*root, "compiler", Kind::kString)) {
    origin.compiler = compiler->text;
  }
  for (const Kind kind : {Kind::kNumber, Kind::kInteger}) {
    const JsonNode* seconds = find(*root, "compile_seconds", kind);
    if (seconds != nullptr && seconds->number >= 0) origin.compile_seconds = seconds->number;
  }
  return origin;
}

std::string KernelOrigin::purpose() const {
  if (spec) return describe_briefly(*spec);
  for (const auto& [name, value] : key) {
    if (name == "spec") return value;
  }
  return "unknown";
}

}  // namespace allnorm::tools
