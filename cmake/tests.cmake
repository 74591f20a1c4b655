# All that ctest runs, and the programs beside.
include(unit_tests)
include(sim_tests)
include(programs)
include(compile_tests)
include(gpu_tests)
include(binary_tests)
include(consumer_tests)
