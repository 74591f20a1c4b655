# Calls that tests make on any machine: cases, their inputs and outputs, the comparison with the reference.
file(GLOB allnorm_calls_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/calls/*.cc)
add_library(allnorm_calls STATIC EXCLUDE_FROM_ALL ${allnorm_calls_sources})
target_link_libraries(allnorm_calls PUBLIC allnorm_reference)
