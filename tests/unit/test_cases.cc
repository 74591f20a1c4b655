// The sampled cases leave nothing out.
#include <set>
#include <utility>

#include "calls/cases.h"
#include "catch.h"

namespace allnorm::calls {
namespace {

TEST_CASE("a sample has every pair of hidden_dim and tokens, every value of every axis, and can be made again") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    SampleOptions options;
    options.seed = seed;
    options.cases = 1000;
    const std::vector<Case> cases = sample_cases(options);
    CHECK(cases.size() == 1000);
    CHECK(axis_counts_json(cases) == axis_counts_json(sample_cases(options)));
    std::set<std::pair<int, std::int64_t>> pairs;
    std::set<std::pair<DataType, DataType>> dtypes;
    std::set<std::pair<Quant, ScaleLayout>> quants;
    std::set<std::pair<Strategy, Pdl>> strategies;
    std::set<std::pair<bool, bool>> outputs;
    std::set<reference::Pattern> patterns;
    for (const Case& c : cases) {
      CHECK(is_valid(c));
      pairs.emplace(c.hidden_dim, c.tokens);
      dtypes.emplace(c.dtype, c.gamma_dtype);
      quants.emplace(c.quant, c.layout);
      strategies.emplace(c.strategy, c.pdl);
      outputs.emplace(c.has_output, c.has_residual_out);
      patterns.insert(c.pattern);
    }
    CHECK(pairs.size() == 12 * 9);
    CHECK(dtypes.size() == 5);
    CHECK(quants.size() == 5);
    CHECK(strategies.size() == 6);
    CHECK(outputs.size() == 4);
    CHECK(patterns.size() == reference::kPatterns);
  }
}

}  // namespace
}  // namespace allnorm::calls
