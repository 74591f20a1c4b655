// parse_spec, and the JSON beneath it: gives a Spec that is the same when written and read again, or a documented
// error.
#include <string>
#include <string_view>

#include "allnorm/error.h"
#include "dispatch/geometry.h"
#include "dispatch/json_tree.h"
#include "dispatch/spec_text.h"
#include "target.h"

namespace {

using namespace allnorm;

const std::string kFile = "fuzz.json";

Spec parse(std::string_view text) {
  const JsonNode tree = parse_json(text, kFile);
  return parse_spec(JsonField(tree, kFile));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Spec spec;
  try {
    spec = parse({reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    const bool documented = error.code() == ErrorCode::kInvalidTable || error.code() == ErrorCode::kInvalidArgument;
    fuzz::require(documented, "the error is kInvalidTable or kInvalidArgument");
    return 0;
  }
  fuzz::accepted++;
  check_spec(spec);
  fuzz::require(parse(to_json(spec)) == spec, "it survives writing and reading");
  fuzz::require(!warm_command(spec).empty() && !describe(spec).empty(), "it can be said");
  return 0;
}

namespace allnorm::fuzz {

std::vector<std::string> seeds() {
  Spec spec;
  spec.world_size = 2;
  spec.hidden_dim = 7168;
  spec.geometry = default_geometry(spec.hidden_dim, spec.dtype, 8, spec.world_size, 132);
  Spec other = spec;
  other.target = Target::kHost;
  other.strategy = Strategy::kTwoShot;
  other.quant = Quant::kNvfp4;
  other.layout = ScaleLayout::kSwizzled8x4;
  other.zero_scale_padding = true;
  return {to_json(spec), to_json(other)};
}

std::vector<std::string> tokens() {
  return {
      "\"sm_100a\"",     "\"host\"",   "\"all_reduce\"",   "\"fused\"", "\"two_shot\"", "\"one_shot\"", "\"multicast\"",
      "\"unicast\"",     "\"f32\"",    "\"f16\"",          "\"bf16\"",  "\"none\"",     "\"fp8\"",      "\"nvfp4\"",
      "\"dynamic_fp8\"", "\"linear\"", "\"swizzled_8x4\"", "true",      "false",        "[4, 7, 1]",    "72"};
}

}  // namespace allnorm::fuzz
