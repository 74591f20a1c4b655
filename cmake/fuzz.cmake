# Fuzzers of the parsers of what nobody trusts: tests/fuzz/fuzz_x.cc is the program allnorm_fuzz_x, with a driver of our
# own that any compiler can build. ctest replays the corpus, and a few edits of it; tools/prove-long runs them for long.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # The driver has the function that the option calls.
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-fsanitize-coverage=trace-pc ALLNORM_HAS_TRACE_PC)
unset(CMAKE_TRY_COMPILE_TARGET_TYPE)

# The parsers once more, so that they say which ways an input takes. Whatever else they call comes from the library.
add_library(allnorm_fuzz_parsers STATIC EXCLUDE_FROM_ALL
  ${PROJECT_SOURCE_DIR}/cache/entry.cc
  ${PROJECT_SOURCE_DIR}/cache/manifest.cc
  ${PROJECT_SOURCE_DIR}/runtime/dispatch/json_field.cc
  ${PROJECT_SOURCE_DIR}/runtime/dispatch/json_tree.cc
  ${PROJECT_SOURCE_DIR}/runtime/dispatch/spec.cc
  ${PROJECT_SOURCE_DIR}/runtime/dispatch/spec_text.cc
  ${PROJECT_SOURCE_DIR}/runtime/dispatch/table_parse.cc)
target_link_libraries(allnorm_fuzz_parsers PUBLIC allnorm_static)
if(ALLNORM_HAS_TRACE_PC)
  target_compile_options(allnorm_fuzz_parsers PRIVATE -fsanitize-coverage=trace-pc)
endif()

file(GLOB allnorm_fuzzers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_*.cc)
foreach(path IN LISTS allnorm_fuzzers)
  cmake_path(GET path STEM name)
  string(REGEX REPLACE "^fuzz_" "" short_name ${name})
  set(program allnorm_${name})
  add_executable(${program} ${path} ${PROJECT_SOURCE_DIR}/tests/fuzz/driver.cc ${PROJECT_SOURCE_DIR}/tests/fuzz/mutate.cc
                 ${PROJECT_SOURCE_DIR}/tests/fuzz/coverage.cc)
  target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
  target_link_libraries(${program} PRIVATE allnorm_fuzz_parsers)
  add_test(NAME fuzz.${short_name} COMMAND ${program} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${short_name} --runs 5000)
  set_tests_properties(fuzz.${short_name} PROPERTIES LABELS fuzz TIMEOUT 300)
endforeach()
