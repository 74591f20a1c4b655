# All that ctest runs.
include(unit_tests)
include(compile_tests)
include(gpu_tests)
include(benchmarks)
include(binary_tests)
include(consumer_tests)
