# Fuzzers of the parsers of what nobody trusts: tests/fuzz/fuzz_x.cc is the program allnorm_fuzz_x, with a driver of our
# own that any compiler can build. ctest replays the corpus, and a few edits of it; tools/prove-long runs them for long.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # The driver has the function that the option calls.
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-fsanitize-coverage=trace-pc ALLNORM_HAS_TRACE_PC)
unset(CMAKE_TRY_COMPILE_TARGET_TYPE)

# The parsers and what they call. With sanitizers once more, so that they say which ways an input takes: the long runs
# are made so. Else the library has them.
if(ALLNORM_SANITIZE AND ALLNORM_HAS_TRACE_PC)
  list(APPEND allnorm_fuzz_parsers cache/entry.cc cache/file_system.cc cache/key.cc cache/listing.cc cache/manifest.cc
       cache/sha256.cc cache/system_calls.cc)
  foreach(name geometry json_field json_tree names spec spec_text table table_parse)
    list(APPEND allnorm_fuzz_parsers runtime/dispatch/${name}.cc)
  endforeach()
  list(APPEND allnorm_fuzz_parsers runtime/api/error.cc runtime/api/types.cc runtime/env/fmt.cc)
  list(TRANSFORM allnorm_fuzz_parsers PREPEND ${PROJECT_SOURCE_DIR}/)
  add_library(allnorm_fuzz_parsers STATIC EXCLUDE_FROM_ALL ${allnorm_fuzz_parsers})
  target_include_directories(allnorm_fuzz_parsers PUBLIC
    ${PROJECT_SOURCE_DIR}/runtime/include ${ALLNORM_GENERATED} ${PROJECT_SOURCE_DIR}/runtime ${PROJECT_SOURCE_DIR})
  target_link_libraries(allnorm_fuzz_parsers PUBLIC allnorm_dependencies)
  target_compile_options(allnorm_fuzz_parsers PRIVATE -fsanitize-coverage=trace-pc)
else()
  add_library(allnorm_fuzz_parsers ALIAS allnorm_static)
endif()

# Not instrumented: its own ways say nothing about the parsers.
list(APPEND allnorm_fuzz_driver driver mutate coverage)
list(TRANSFORM allnorm_fuzz_driver REPLACE ".+" "${PROJECT_SOURCE_DIR}/tests/fuzz/\\0.cc")
add_library(allnorm_fuzz_driver STATIC EXCLUDE_FROM_ALL ${allnorm_fuzz_driver})
target_include_directories(allnorm_fuzz_driver PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
target_compile_options(allnorm_fuzz_driver PRIVATE ${ALLNORM_TEST_OPTIONS})
target_link_libraries(allnorm_fuzz_driver PUBLIC allnorm_fuzz_parsers)

file(GLOB allnorm_fuzzers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_*.cc)
foreach(path IN LISTS allnorm_fuzzers)
  cmake_path(GET path STEM name)
  string(REGEX REPLACE "^fuzz_" "" short_name ${name})
  set(program allnorm_${name})
  add_executable(${program} ${path})
  target_compile_options(${program} PRIVATE ${ALLNORM_TEST_OPTIONS})
  target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
  target_link_libraries(${program} PRIVATE allnorm_fuzz_driver)
  add_test(NAME fuzz.${short_name} COMMAND ${program} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${short_name} --runs 5000)
  set_tests_properties(fuzz.${short_name} PROPERTIES LABELS fuzz TIMEOUT 300)
endforeach()
