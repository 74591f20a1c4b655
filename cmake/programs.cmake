# Programs that measure or prove: each file is one, tests/benchmark/host_cost.cc is allnorm_host_cost. ctest runs those of
# tests/compile. The others are built by name, `ninja allnorm_host_cost`; tools/prove-long runs the long proofs.
file(GLOB allnorm_compile_programs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/compile/*.cc)
file(GLOB allnorm_benchmarks CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/benchmark/*.cc)
foreach(path IN LISTS allnorm_compile_programs allnorm_benchmarks reference_programs)
  cmake_path(GET path STEM name)
  add_executable(allnorm_${name} ${path})
  if(NOT path IN_LIST allnorm_compile_programs)
    set_target_properties(allnorm_${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  target_link_libraries(allnorm_${name} PRIVATE allnorm_reference)
  target_compile_options(allnorm_${name} PRIVATE ${ALLNORM_TEST_OPTIONS})
endforeach()
