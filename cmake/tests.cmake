# All that ctest runs, and the programs beside.
# Test cases run once: what optimising them costs the compiler is more than it saves.
set(ALLNORM_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)
include(unit_tests)
include(sim_tests)
include(fault_tests)
include(fuzz)
include(programs)
include(compile_tests)
include(gpu_tests)
include(binary_tests)
include(consumer_tests)
