# All that ctest runs.
include(unit_tests)
include(gpu_tests)
include(binary_tests)
include(consumer_tests)
