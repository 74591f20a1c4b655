# Programs that measure or prove, and that ctest does not run: each file is one, tests/benchmark/latency.cc is
# allnorm_latency. tools/prove-long runs the long proofs.
file(GLOB allnorm_programs CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/tests/benchmark/*.cc ${PROJECT_SOURCE_DIR}/tests/compile/*.cc)
foreach(path IN LISTS allnorm_programs reference_programs)
  cmake_path(GET path STEM name)
  add_executable(allnorm_${name} ${path})
  target_link_libraries(allnorm_${name} PRIVATE allnorm_reference)
endforeach()
