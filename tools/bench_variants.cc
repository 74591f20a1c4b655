// Which calls `allnorm bench` measures.
#include <algorithm>
#include <optional>

#include "bench.h"
#include "dispatch/geometry.h"

namespace allnorm::tools {
namespace {

/// Of a sweep: with more, no geometry was ever among the fast ones.
constexpr int kMaxChunksPerWarp = 4;

template <typename Value>
std::vector<Value> given_or(const std::vector<Value>& given, const std::vector<Value>& otherwise) {
  return given.empty() ? otherwise : given;
}

std::vector<std::optional<Geometry>> geometries_of(const BenchOptions& options, int hidden_dim, DataType dtype) {
  if (!options.geometries.empty()) return {options.geometries.begin(), options.geometries.end()};
  if (!options.sweep) return {std::nullopt};
  std::vector<std::optional<Geometry>> geometries;
  for (const Geometry& geometry : all_geometries(hidden_dim, dtype)) {
    if (geometry.chunks_per_warp <= kMaxChunksPerWarp) geometries.emplace_back(geometry);
  }
  return geometries;
}

/// Each quant, NVFP4 with each layout.
std::vector<Variant> kinds_of(const BenchOptions& options) {
  std::vector<Variant> kinds;
  for (const Quant quant : options.quants) {
    for (const ScaleLayout layout : options.layouts) {
      if (quant == Quant::kNvfp4 || layout == options.layouts.front())
        kinds.push_back({.quant = quant, .layout = layout});
    }
  }
  return kinds;
}

}  // namespace

std::vector<Variant> bench_variants(const BenchOptions& options, int hidden_dim, DataType dtype, bool virtual_ranks) {
  using enum Strategy;
  const auto strategies =
      given_or(options.strategies, options.sweep ? std::vector{kOneShot, kTwoShot} : std::vector{kAuto});
  auto pdls = given_or(options.pdls, options.sweep ? std::vector{Pdl::kEarlyTrigger, Pdl::kLateTrigger}
                                                   : std::vector{Pdl::kEarlyTrigger});
  if (virtual_ranks) pdls = {Pdl::kOff};
  const auto geometries = geometries_of(options, hidden_dim, dtype);
  std::vector<int> tokens = options.tokens;
  std::sort(tokens.begin(), tokens.end());
  std::vector<Variant> variants;
  for (const int count : tokens) {
    for (Variant variant : kinds_of(options)) {
      variant.tokens = count;
      for (const Strategy strategy : strategies) {
        variant.strategy = strategy;
        for (const Pdl pdl : pdls) {
          variant.pdl = pdl;
          for (const auto& geometry : geometries) {
            variant.geometry = geometry;
            for (const CallMode mode : options.modes) {
              variant.mode = mode;
              variants.push_back(variant);
            }
          }
        }
      }
    }
  }
  return variants;
}

}  // namespace allnorm::tools
