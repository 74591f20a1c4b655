# Tests on the simulator: scenarios and mutations, a library that `allnorm simulate` uses as well, and a ctest for each
# test_*.cc, as for the unit tests.
file(GLOB allnorm_sim_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/sim/test_*.cc)
add_executable(allnorm_sim_tests ${allnorm_sim_sources})
target_include_directories(allnorm_sim_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
target_link_libraries(allnorm_sim_tests PRIVATE allnorm_scenarios allnorm_test_main)
allnorm_precompile(allnorm_sim_tests ${ALLNORM_CATCH_HEADER})
target_compile_options(allnorm_sim_tests PRIVATE ${ALLNORM_TEST_OPTIONS})
target_compile_definitions(allnorm_sim_tests PRIVATE ALLNORM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
allnorm_add_catch_tests(sim allnorm_sim_tests ${allnorm_sim_sources})
