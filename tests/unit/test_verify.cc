// The comparison itself: right bytes pass, and any single wrong byte is found, in guards and padding too.
#include "calls/verify.h"
#include "catch.h"

namespace allnorm::calls {
namespace {

TEST_CASE("verification accepts the reference's bytes, and finds every single byte that differs") {
  SampleOptions options;
  options.seed = 4;
  options.cases = 400;
  options.max_elements = 3000;
  for (const Case& c : sample_cases(options)) {
    INFO(describe(c));
    Layout layout;
    const Placement placement = place_outputs(c, layout);
    const std::vector<std::uint8_t> right = expected_outputs(c, placement, c.seed);
    std::vector<std::uint8_t> wrong = right;
    const std::vector<const std::uint8_t*> images = {right.data(), wrong.data()};
    CHECK(verify({&c, 1}, {&placement, 1}, images).empty());
    const std::size_t step = 1 + right.size() / 8;
    for (std::size_t i = c.seed % step; i < wrong.size(); i += step) {
      wrong[i] ^= 0x10;
      const std::vector<Failure> failures = verify({&c, 1}, {&placement, 1}, images);
      INFO("byte " << i);
      REQUIRE(failures.size() == 1);
      CHECK(failures[0].mismatches == 1);
      CHECK(failures[0].first.at(0).starts_with("rank 1 "));
      wrong[i] ^= 0x10;
    }
  }
}

}  // namespace
}  // namespace allnorm::calls
