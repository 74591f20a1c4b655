// A Spec as JSON, and as the command that compiles it.
#include <string>

#include "allnorm/error.h"
#include "catch.h"
#include "dispatch/json_tree.h"
#include "dispatch/spec_text.h"
#include "error_of.h"

using namespace allnorm;
using allnorm::testing::error_of;

namespace {

Spec parsed(const std::string& text) {
  const std::string file = "specs.json";
  const JsonNode root = parse_json(text, file);
  return parse_spec(JsonField(root, file));
}

Spec nvfp4_spec() {
  Spec spec;
  spec.target = Target::kSm100a;
  spec.strategy = Strategy::kTwoShot;
  spec.transport = Transport::kMulticast;
  spec.dtype = DataType::kF16;
  spec.gamma_dtype = DataType::kF32;
  spec.quant = Quant::kNvfp4;
  spec.layout = ScaleLayout::kSwizzled128x4;
  spec.has_output = false;
  spec.has_residual_out = false;
  spec.zero_scale_padding = true;
  spec.pdl = Pdl::kLateTrigger;
  spec.world_size = 8;
  spec.geometry = {2, 14, 1};
  spec.hidden_dim = 7168;
  return spec;
}

Spec plain_spec() {
  Spec spec;
  spec.operation = Operation::kAllReduce;
  spec.has_residual_out = false;
  spec.geometry = {1, 4, 1};
  spec.hidden_dim = 1024;
  return spec;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a Spec is read back from its JSON") {
  CHECK(parsed(to_json(nvfp4_spec())) == nvfp4_spec());
  CHECK(parsed(to_json(plain_spec())) == plain_spec());
  const Spec comparison = helper_spec(Operation::kCompareCalls, Target::kHost, 72);
  CHECK(parsed(to_json(comparison)) == comparison);
  CHECK(to_json(plain_spec()).find('\n') == std::string::npos);
}

TEST_CASE("JSON that is no Spec is refused, naming the field") {
  const std::string good = to_json(nvfp4_spec());
  const auto message = [](const std::string& text) {
    try {
      parsed(text);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message(replaced(good, "\"sm_100a\"", "\"sm_80\"")).find("specs.json:1: target: ") == 0);
  CHECK(message(replaced(good, "\"has_output\":false", "\"has_output\":0")).find("has_output: 0 given") !=
        std::string::npos);
  CHECK(message(replaced(good, "[2,14,1]", "[2,14]")).find("ctas_per_row, warps_per_cta") != std::string::npos);
  CHECK(message(replaced(good, "[2,14,1]", "[2,14,300]")).find("geometry[2]") != std::string::npos);
  CHECK(message(replaced(good, "\"pdl\"", "\"pld\"")).find("pld") != std::string::npos);
  // Well-formed, but no such kernel.
  CHECK(message(replaced(good, "[2,14,1]", "[1,2,1]")).find("geometry") != std::string::npos);
  CHECK(message(replaced(good, ":7168", ":7170")).find("hidden_dim: 7170 given") == 0);
}

TEST_CASE("the command names every field that is not the default") {
  CHECK(warm_command(plain_spec()) ==
        "allnorm warm --arch sm_90a --world 1 --hidden 1024 --dtype bf16 --gamma-dtype bf16 --quant none --strategy "
        "one_shot --geometry 1x4x1 --pdl off --operation all_reduce");
  CHECK(warm_command(nvfp4_spec()) ==
        "allnorm warm --arch sm_100a --world 8 --hidden 7168 --dtype f16 --gamma-dtype f32 --quant nvfp4 --layout "
        "swizzled_128x4 --strategy two_shot --geometry 2x14x1 --pdl late --transport multicast --no-output "
        "--no-residual-out --zero-scale-padding");
}
