# Kernels compile for every architecture, without a GPU: a sample in ctest, all of them by tools/prove-long.
add_executable(allnorm_compile_times ${PROJECT_SOURCE_DIR}/tests/compile/compile_times.cc)
target_link_libraries(allnorm_compile_times PRIVATE allnorm_static)
allnorm_add_test(compile.sample allnorm_compile_times --sample 48)
set_tests_properties(compile.sample PROPERTIES LABELS compile TIMEOUT 300)
