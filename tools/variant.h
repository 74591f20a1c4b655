// A way to make the fused call, and what it took.
#ifndef ALLNORM_TOOLS_VARIANT_H_
#define ALLNORM_TOOLS_VARIANT_H_

#include <array>
#include <cstdint>
#include <optional>

#include "allnorm/types.h"
#include "dispatch/spec.h"
#include "summary.h"

namespace allnorm::tools {

/// Calls in a CUDA graph, or enqueued one by one.
enum class CallMode : std::uint8_t { kGraph, kEager };

constexpr const char* to_string(CallMode mode) noexcept { return mode == CallMode::kGraph ? "graph" : "eager"; }

struct Variant {
  std::int64_t tokens = 1;
  Quant quant = Quant::kFp8;
  ScaleLayout layout = ScaleLayout::kSwizzled128x4;  ///< Of NVFP4's scales.
  Strategy strategy = Strategy::kAuto;
  Pdl pdl = Pdl::kEarlyTrigger;
  std::optional<Geometry> geometry{};  ///< Not given: the dispatcher's.
  CallMode mode = CallMode::kGraph;
};

struct Measured {
  Summary microseconds;  ///< Of a call.
  Strategy strategy = Strategy::kOneShot;
  Geometry geometry;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_VARIANT_H_
