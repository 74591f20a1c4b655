#include "api/overlap.h"

#include <fmt/format.h>

#include <array>

#include "allnorm/error.h"

namespace allnorm {
namespace {

struct Extent {
  const char* name;
  std::uintptr_t begin;
  std::uintptr_t end;
};

Extent extent_of(const char* name, const void* data, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  return {name, begin, data == nullptr ? begin : begin + bytes};
}

Extent extent_of(const char* name, const Tensor& tensor) { return extent_of(name, tensor.data, tensor.bytes()); }

bool overlap(const Extent& a, const Extent& b) { return a.begin < b.end && b.begin < a.end; }

void check_apart(const Extent& output, const Extent& other, const char* allowed) {
  if (!overlap(output, other)) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: overlaps {} ({:#x} to {:#x}, and {:#x} to {:#x}); {}", output.name, other.name,
                          output.begin, output.end, other.begin, other.end, allowed));
}

constexpr const char* kNeverAllowed = "an output must not share memory with it";

/// The same memory, or apart.
void check_same_or_apart(const Extent& output, const Extent& input) {
  if (output.begin == input.begin && output.end == input.end) return;
  check_apart(output, input, "it may be the same tensor exactly, or must be apart");
}

}  // namespace

void check_overlaps(const FusedCall& call) {
  const Extent input = extent_of("input", call.input);
  const Extent residual_in = extent_of("residual_in", call.residual_in);
  const Extent gamma = extent_of("gamma", call.gamma);
  const Extent scale = extent_of("output_scale_pointer", call.output_scale_pointer, sizeof(float));
  const std::array outputs = {extent_of("output", call.output), extent_of("residual_out", call.residual_out),
                              extent_of("quant_out", call.quant_out), extent_of("scale_out", call.scale_out)};
  const Extent& output = outputs[0];
  const Extent& residual_out = outputs[1];
  for (std::size_t i = 0; i < outputs.size(); i++) {
    check_apart(outputs[i], gamma, kNeverAllowed);
    check_apart(outputs[i], scale, kNeverAllowed);
    if (i != 0) check_apart(outputs[i], input, kNeverAllowed);
    if (i != 1) check_apart(outputs[i], residual_in, kNeverAllowed);
    for (std::size_t j = i + 1; j < outputs.size(); j++) check_apart(outputs[i], outputs[j], kNeverAllowed);
  }
  check_same_or_apart(output, input);
  check_same_or_apart(residual_out, residual_in);
}

void check_overlaps(const AllReduceCall& call) {
  check_same_or_apart(extent_of("output", call.output), extent_of("input", call.input));
}

}  // namespace allnorm
