// Which edges of the parsers' code an input takes, and how often: what their -fsanitize-coverage=trace-pc calls.
//
// Without that option nothing is seen, and every input looks the same. One thread.
#ifndef ALLNORM_TESTS_FUZZ_COVERAGE_H_
#define ALLNORM_TESTS_FUZZ_COVERAGE_H_

#include <cstdint>
#include <vector>

namespace allnorm::fuzz {

/// An edge, and the order of magnitude of how often it was taken.
using Feature = std::uint32_t;

void begin_coverage();
/// What was taken since then.
std::vector<Feature> end_coverage();

}  // namespace allnorm::fuzz

#endif  // ALLNORM_TESTS_FUZZ_COVERAGE_H_
