#include <functional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "catch.h"
#include "dispatch/names.h"
#include "dispatch/spec.h"
#include "error_of.h"

using namespace allnorm;
using allnorm::testing::error_of;

namespace {

Spec valid_spec() {
  Spec spec;
  spec.world_size = 2;
  spec.hidden_dim = 7168;
  spec.quant = Quant::kNvfp4;
  spec.layout = ScaleLayout::kSwizzled128x4;
  spec.geometry = {4, 7, 1};
  return spec;
}

std::string refusal(const std::function<void(Spec&)>& change) {
  Spec spec = valid_spec();
  change(spec);
  return error_of(ErrorCode::kInvalidArgument, [&] { check_spec(spec); });
}

/// Specs that differ from valid_spec() and from each other in one field each.
std::vector<Spec> neighbours() {
  const std::vector<std::function<void(Spec&)>> changes = {
      [](Spec& s) { s.target = Target::kSm100a; },
      [](Spec& s) { s.target = Target::kHost; },
      [](Spec& s) { s.operation = Operation::kAllReduce; },
      [](Spec& s) { s.strategy = Strategy::kTwoShot; },
      [](Spec& s) { s.transport = Transport::kMulticast; },
      [](Spec& s) { s.dtype = DataType::kF16; },
      [](Spec& s) { s.gamma_dtype = DataType::kF32; },
      [](Spec& s) { s.quant = Quant::kFp8; },
      [](Spec& s) { s.layout = ScaleLayout::kLinear; },
      [](Spec& s) { s.has_output = false; },
      [](Spec& s) { s.has_residual_out = false; },
      [](Spec& s) { s.zero_scale_padding = true; },
      [](Spec& s) { s.pdl = Pdl::kEarlyTrigger; },
      [](Spec& s) { s.world_size = 3; },
      [](Spec& s) { s.hidden_dim = 4096; },
      [](Spec& s) { s.geometry.ctas_per_row = 8; },
      [](Spec& s) { s.geometry.warps_per_cta = 8; },
      [](Spec& s) { s.geometry.chunks_per_warp = 2; },
  };
  std::vector<Spec> specs = {valid_spec()};
  for (const auto& change : changes) {
    specs.push_back(valid_spec());
    change(specs.back());
  }
  return specs;
}

}  // namespace

TEST_CASE("a Spec is described in one line with every field", "[spec]") {
  CHECK(describe(valid_spec()) ==
        "target=sm_90a operation=fused strategy=one_shot transport=unicast dtype=bf16 "
        "gamma_dtype=bf16 quant=nvfp4 layout=swizzled_128x4 has_output=1 has_residual_out=1 "
        "zero_scale_padding=0 pdl=off world_size=2 ctas_per_row=4 warps_per_cta=7 "
        "chunks_per_warp=1 hidden_dim=7168");
}

TEST_CASE("Specs that differ in any one field have other descriptions and hashes", "[spec]") {
  std::set<std::string> descriptions;
  std::set<std::size_t> hashes;
  for (const Spec& spec : neighbours()) {
    descriptions.insert(describe(spec));
    hashes.insert(SpecHash()(spec));
  }
  CHECK(descriptions.size() == neighbours().size());
  CHECK(hashes.size() == neighbours().size());
}

TEST_CASE("a Spec is found in a hash set by an equal one", "[spec]") {
  std::unordered_set<Spec, SpecHash> specs;
  for (const Spec& spec : neighbours()) specs.insert(spec);
  CHECK(specs.size() == neighbours().size());
  CHECK(specs.count(valid_spec()) == 1);
}

TEST_CASE("the last chunk and vector of a row may be partial", "[spec]") {
  CHECK(vectors_per_row(7168, DataType::kBF16) == 896);
  CHECK(chunks_per_row(7168, DataType::kBF16) == 28);
  CHECK(chunks_per_row(7168, DataType::kF32) == 56);
  CHECK(chunks_per_row(2880, DataType::kBF16) == 12);  // 11.25
  CHECK(chunks_per_row(8, DataType::kBF16) == 1);
  CHECK(vectors_per_row(9, DataType::kBF16) == 2);
  CHECK(chunks_per_row(65536, DataType::kF32) == 512);
}

TEST_CASE("a Spec that a kernel exists for is accepted", "[spec]") {
  CHECK_NOTHROW(check_spec(valid_spec()));
  for (const int world : {1, 3, 12, 72}) {
    CHECK(refusal([&](Spec& s) { s.world_size = static_cast<std::uint8_t>(world); }).empty());
  }
  CHECK(refusal([](Spec& s) { s.layout = ScaleLayout::kLinear; }).empty());
  CHECK(refusal([](Spec& s) { s.gamma_dtype = DataType::kF32; }).empty());
  CHECK(refusal([](Spec& s) {
          s.dtype = s.gamma_dtype = DataType::kF32;
          s.hidden_dim = 65536;
          s.geometry = {8, 32, 2};
        }).empty());
  CHECK(refusal([](Spec& s) {
          s.quant = Quant::kNone;
          s.layout = ScaleLayout::kLinear;
          s.hidden_dim = 8;  // A vector, but no NVFP4 block.
        }).empty());
}

TEST_CASE("a Spec without a kernel is refused with what was given and what is allowed", "[spec]") {
  CHECK(refusal([](Spec& s) { s.world_size = 0; }) == "world_size: 0 given, allowed: 1 to 72");
  CHECK(refusal([](Spec& s) { s.world_size = 73; }) == "world_size: 73 given, allowed: 1 to 72");
  CHECK(refusal([](Spec& s) { s.strategy = Strategy::kAuto; }) == "strategy: auto given, allowed: one_shot, two_shot");
  CHECK(refusal([](Spec& s) { s.dtype = DataType::kE4M3; }) == "dtype: e4m3 given, allowed: f32, f16, bf16");
  CHECK(refusal([](Spec& s) { s.gamma_dtype = DataType::kF16; }) ==
        "gamma_dtype: f16 given, allowed: bf16 (the dtype) or f32");
  CHECK(refusal([](Spec& s) { s.layout = ScaleLayout::kSwizzled8x4; }) ==
        "layout: swizzled_8x4 is not supported, allowed: swizzled_128x4, linear");
  CHECK(refusal([](Spec& s) { s.quant = Quant::kFp8; }) ==
        "layout: swizzled_128x4 with quant fp8 given, allowed: linear (the other layouts are for "
        "quant nvfp4)");
}

TEST_CASE("a hidden_dim that is not whole vectors and blocks is refused", "[spec]") {
  const auto with = [](int hidden_dim) { return refusal([&](Spec& s) { s.hidden_dim = hidden_dim; }); };
  const std::string allowed = " given, allowed: multiples of 16 (a block of nvfp4) up to 65536";
  CHECK(with(0) == "hidden_dim: 0" + allowed);
  CHECK(with(-16) == "hidden_dim: -16" + allowed);
  CHECK(with(4552) == "hidden_dim: 4552" + allowed);
  CHECK(with(65552) == "hidden_dim: 65552" + allowed);
  CHECK(refusal([](Spec& s) {
          s.quant = Quant::kNone;
          s.layout = ScaleLayout::kLinear;
          s.hidden_dim = 4548;
        }) == "hidden_dim: 4548 given, allowed: multiples of 8 (16 bytes of bf16) up to 65536");
}

TEST_CASE("a geometry outside its ranges, or too small for the row, is refused", "[spec]") {
  const auto with = [](Geometry geometry) { return refusal([&](Spec& s) { s.geometry = geometry; }); };
  CHECK(with({3, 16, 1}) == "geometry.ctas_per_row: 3 given, allowed: 1, 2, 4 or 8");
  CHECK(with({1, 33, 1}) == "geometry.warps_per_cta: 33 given, allowed: 1 to 32");
  CHECK(with({4, 0, 1}) == "geometry.warps_per_cta: 0 given, allowed: 1 to 32");
  CHECK(with({1, 7, 17}) == "geometry.chunks_per_warp: 17 given, allowed: 1 to 16");
  CHECK(with({4, 7, 0}) == "geometry.chunks_per_warp: 0 given, allowed: 1 to 16");
  CHECK(with({1, 27, 1}) ==
        "geometry: 1 ctas_per_row x 27 warps_per_cta x 1 chunks_per_warp = 27 chunks given, "
        "allowed: at least 28 chunks, those of a row of 7168 bf16");
  CHECK(with({1, 28, 1}).empty());
}

TEST_CASE("the comparison of calls is one kernel for a target and a world", "[spec]") {
  const Spec spec = helper_spec(Operation::kCompareCalls, Target::kSm90a, 8);
  check_spec(spec);
  Spec other = spec;
  other.hidden_dim = 8;
  CHECK(error_of(ErrorCode::kInvalidArgument, [&] { check_spec(other); }) ==
        "operation: compare_calls in \"" + describe(other) + "\" given, allowed: " + describe(spec));
}

TEST_CASE("a plain all-reduce quantizes nothing and has an output", "[spec]") {
  CHECK(refusal([](Spec& s) { s.operation = Operation::kAllReduce; }) ==
        "quant: nvfp4 with operation all_reduce given, allowed: none");
  const auto plain = [](Spec& s) {
    s.operation = Operation::kAllReduce;
    s.quant = Quant::kNone;
    s.layout = ScaleLayout::kLinear;
  };
  CHECK(refusal(plain).empty());
  CHECK(refusal([&](Spec& s) {
          plain(s);
          s.has_output = false;
        }) == "has_output: false with operation all_reduce given, allowed: true");
}

TEST_CASE("every name is parsed back to its value", "[names]") {
  for (const DataType value : kDataTypes) CHECK(parse_data_type(to_string(value)) == value);
  for (const Quant value : kQuants) CHECK(parse_quant(to_string(value)) == value);
  for (const ScaleLayout value : kLayouts) CHECK(parse_layout(to_string(value)) == value);
  for (const Strategy value : kStrategies) CHECK(parse_strategy(to_string(value)) == value);
  for (const Transport value : kTransports) CHECK(parse_transport(to_string(value)) == value);
  for (const Operation value : kOperations) CHECK(parse_operation(to_string(value)) == value);
  for (const Pdl value : kPdls) CHECK(parse_pdl(to_string(value)) == value);
  for (const Target value : kTargets) CHECK(parse_target(to_string(value)) == value);
}

TEST_CASE("the GPU targets are all targets but host", "[names]") {
  for (const Target target : kTargets) CHECK(is_one_of(target, kGpuTargets) == (target != Target::kHost));
  CHECK(parse_target("host") == Target::kHost);
}

TEST_CASE("a name that is not known is refused with those that are", "[names]") {
  const auto refused = [](auto parse, const char* name) {
    return error_of(ErrorCode::kInvalidArgument, [&] { parse(name); });
  };
  CHECK(refused(parse_strategy, "three_shot") == "strategy: \"three_shot\" given, allowed: one_shot, two_shot, auto");
  CHECK(refused(parse_data_type, "BF16") == "dtype: \"BF16\" given, allowed: f32, f16, bf16, e4m3, u8, e2m1x2");
  CHECK(refused(parse_quant, "") == "quant: \"\" given, allowed: none, fp8, nvfp4, dynamic_fp8");
  CHECK(refused(parse_layout, "8x4") == "layout: \"8x4\" given, allowed: swizzled_128x4, swizzled_8x4, linear");
  CHECK(refused(parse_target, "sm_80") == "target: \"sm_80\" given, allowed: sm_90a, sm_100a, sm_103a, sm_120a, host");
}
