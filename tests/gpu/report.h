// Settings of the tests from the environment, and results for programs.
#ifndef ALLNORM_TESTS_GPU_REPORT_H_
#define ALLNORM_TESTS_GPU_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace allnorm::gpu_tests {

/// ALLNORM_TEST_CASES and the like; `fallback` if it is not set or empty.
std::int64_t setting(const char* name, std::int64_t fallback);
/// A list, "1,2,8".
std::vector<int> list_setting(const char* name, const std::vector<int>& fallback);
/// ALLNORM_TEST_SEED, or a new one.
std::uint64_t test_seed();

/// One JSON object on a line: to stdout, and appended to the file that ALLNORM_TEST_JSON names.
void report_json(const std::string& line);

/// Ranks of the tests that have GPUs of their own: ALLNORM_TEST_GPUS, or 2.
int gpus_of_world();

/// True if there are so many GPUs, or so much memory free on GPU 0. Else says that the test is skipped; where
/// ALLNORM_TEST_REQUIRE_ALL is set, throws, so that a proof cannot pass by skipping.
bool has_gpus(int count);
bool has_memory(std::size_t bytes);

double seconds_now();

}  // namespace allnorm::gpu_tests

#endif  // ALLNORM_TESTS_GPU_REPORT_H_
