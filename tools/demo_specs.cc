#include "demo_specs.h"

#include <algorithm>

#include "dispatch/geometry.h"
#include "dispatch/names.h"

namespace allnorm::tools {
namespace {

Spec base_spec(const DemoShape& shape, Target target, Strategy strategy, Quant quant) {
  Spec spec;
  spec.target = target;
  spec.strategy = strategy;
  spec.dtype = spec.gamma_dtype = shape.dtype;
  spec.quant = quant;
  spec.layout = quant == Quant::kNvfp4 ? ScaleLayout::kSwizzled128x4 : ScaleLayout::kLinear;
  spec.has_output = quant == Quant::kNone;
  spec.world_size = static_cast<std::uint8_t>(shape.ranks);
  spec.hidden_dim = shape.hidden_dim;
  return spec;
}

}  // namespace

std::vector<Strategy> demo_strategies(int ranks) {
  if (ranks == 1) return {Strategy::kOneShot};  // nobody to share the work with
  return {Strategy::kOneShot, Strategy::kTwoShot};
}

std::vector<Spec> demo_specs(const DemoShape& shape, Target target, int multiprocessors) {
  std::vector<Spec> specs;
  for (const Strategy strategy : demo_strategies(shape.ranks)) {
    for (const Quant quant : kQuants) {
      Spec spec = base_spec(shape, target, strategy, quant);
      // prepare() sees to all that fewer tokens could need.
      for (std::int64_t tokens = 1; tokens <= shape.tokens; ++tokens) {
        spec.geometry = default_geometry(shape.hidden_dim, shape.dtype, tokens, shape.ranks, multiprocessors);
        if (std::find(specs.begin(), specs.end(), spec) == specs.end()) specs.push_back(spec);
      }
    }
  }
  return specs;
}

}  // namespace allnorm::tools
