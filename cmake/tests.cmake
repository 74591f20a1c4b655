# All that ctest runs, and the programs beside.
# Test cases run once: what optimising them costs the compiler is more than it saves.
set(ALLNORM_TEST_OPTIONS $<$<CONFIG:Release>:-O0>)
# Catch2 2 is compiled with main, once for all.
add_library(allnorm_test_main OBJECT ${PROJECT_SOURCE_DIR}/tests/unit/main.cc)
target_link_libraries(allnorm_test_main PUBLIC Catch2::Catch2)
target_compile_options(allnorm_test_main PRIVATE ${ALLNORM_TEST_OPTIONS})
set(ALLNORM_CATCH_HEADER ${PROJECT_SOURCE_DIR}/tests/unit/catch.h)
include(unit_tests)
include(sim_tests)
include(fault_tests)
include(mpi_tests)
include(fuzz)
include(programs)
include(compile_tests)
include(gpu_tests)
include(binary_tests)
include(consumer_tests)
include(python_tests)
