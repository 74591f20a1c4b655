# Calls that tests make on any machine: cases, their inputs and outputs, the comparison with the reference.
file(GLOB allnorm_calls_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/calls/*.cc)
add_library(allnorm_calls STATIC EXCLUDE_FROM_ALL ${allnorm_calls_sources})
target_link_libraries(allnorm_calls PUBLIC allnorm_reference)
allnorm_precompile(allnorm_calls <nlohmann/json.hpp>)

# Calls on GPUs: Worlds with streams and memory, checked on the device. For the GPU tests, and for `allnorm soak`.
file(GLOB allnorm_session_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/gpu/*.cc)
list(FILTER allnorm_session_sources INCLUDE REGEX "/(auxiliary|auxiliary_source|gpu|report|session)\\.cc$")
add_library(allnorm_session STATIC EXCLUDE_FROM_ALL ${allnorm_session_sources})
target_link_libraries(allnorm_session PUBLIC allnorm_calls)
allnorm_precompile(allnorm_session)

# Whole worlds on the simulator, and the faults that it must find: for the tests, and for `allnorm simulate`.
file(GLOB allnorm_scenario_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/sim/*.cc)
list(FILTER allnorm_scenario_sources EXCLUDE REGEX "/test_[^/]*$")
add_library(allnorm_scenarios STATIC EXCLUDE_FROM_ALL ${allnorm_scenario_sources})
target_link_libraries(allnorm_scenarios PUBLIC allnorm_calls)
allnorm_precompile(allnorm_scenarios <nlohmann/json.hpp>)
