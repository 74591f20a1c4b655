# The CPU reference of the numerics contract: for the tests, and for `allnorm demo`, which verifies with it.
file(GLOB allnorm_reference_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/reference/*.cc)
# Programs: see programs.cmake.
set(reference_programs ${allnorm_reference_sources})
list(FILTER reference_programs INCLUDE REGEX "/(exhaustive_numbers|accuracy)\\.cc$")
list(REMOVE_ITEM allnorm_reference_sources ${reference_programs} "")

add_library(allnorm_reference STATIC EXCLUDE_FROM_ALL ${allnorm_reference_sources})
target_include_directories(allnorm_reference PUBLIC ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(allnorm_reference PUBLIC allnorm_static)
allnorm_precompile(allnorm_reference)
