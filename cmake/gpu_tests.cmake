# Tests that need a GPU. Without one the program says so and returns 77, which ctest reports as skipped.
file(GLOB allnorm_gpu_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/gpu/*.cc)
list(REMOVE_ITEM allnorm_gpu_sources ${allnorm_session_sources})
if(allnorm_gpu_sources)
  add_executable(allnorm_gpu_tests ${allnorm_gpu_sources})
  target_include_directories(allnorm_gpu_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
  target_link_libraries(allnorm_gpu_tests PRIVATE allnorm_session Catch2::Catch2)
  # Catch2 2 is compiled in main.cc.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/gpu/main.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  allnorm_precompile(allnorm_gpu_tests ${ALLNORM_CATCH_HEADER})
  target_compile_options(allnorm_gpu_tests PRIVATE ${ALLNORM_TEST_OPTIONS})
  allnorm_add_test(gpu allnorm_gpu_tests)
  set_tests_properties(gpu PROPERTIES LABELS gpu SKIP_RETURN_CODE 77 TIMEOUT 900 RUN_SERIAL ON)
endif()
