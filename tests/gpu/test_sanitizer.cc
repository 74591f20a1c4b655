// A handful of small calls, for compute-sanitizer: seconds even where every instruction is watched.
#include <fmt/format.h>

#include "catch.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

void check_small_calls(int world_size) {
  WorldOptions options;
  options.devices = devices_for(world_size, true);
  options.max_row_bytes = 2880 * 4;
  options.max_tokens_one_shot = options.max_tokens_two_shot = 4;
  options.timeout_seconds = 30;
  Session session(options);
  // A tool may let a launch wait for its end, which needs the peer's launch.
  session.use_a_thread_per_rank();
  std::vector<Case> cases;
  for (const int hidden_dim : {256, 2880}) {
    for (const Quant quant : {Quant::kNone, Quant::kFp8, Quant::kNvfp4, Quant::kDynamicFp8}) {
      for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
        Case c;
        c.index = static_cast<std::uint32_t>(cases.size());
        c.seed = c.index;
        c.world_size = world_size;
        c.hidden_dim = hidden_dim;
        c.dtype = c.gamma_dtype = c.index % 3 == 0 ? DataType::kF32 : DataType::kBF16;
        c.quant = quant;
        c.layout = ScaleLayout::kSwizzled128x4;
        c.zero_scale_padding = true;
        c.strategy = strategy;
        c.tokens = 2 + c.index % 2;
        cases.push_back(c);
      }
    }
  }
  for (const Failure& failure : session.run(cases)) FAIL_CHECK(describe(failure));
  fmt::print("{} calls in a world of {}\n", cases.size(), world_size);
}

TEST_CASE("small calls of one rank, for the sanitizer", "[.][sanitizer]") { check_small_calls(1); }
TEST_CASE("small calls of two virtual ranks, for the sanitizer", "[.][sanitizer]") { check_small_calls(2); }

}  // namespace
}  // namespace allnorm::gpu_tests
