# The unit tests. The reference: see reference.cmake.
file(GLOB allnorm_unit_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/*.cc)

add_executable(allnorm_unit_tests ${allnorm_unit_sources})
target_include_directories(allnorm_unit_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
target_link_libraries(allnorm_unit_tests PRIVATE allnorm_calls Catch2::Catch2)
target_compile_options(allnorm_unit_tests PRIVATE ${ALLNORM_TEST_OPTIONS})
target_compile_definitions(allnorm_unit_tests PRIVATE ALLNORM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
if(TARGET allnorm_command)
  target_compile_definitions(allnorm_unit_tests PRIVATE ALLNORM_COMMAND="$<TARGET_FILE:allnorm_command>")
  add_dependencies(allnorm_unit_tests allnorm_command)
endif()

# allnorm_add_test(...): add_test, with the NVRTC of the pip packages where tools/run-tests has put it.
function(allnorm_add_test name)
  add_test(NAME ${name} COMMAND ${ARGN})
  if(ALLNORM_VENV_NVRTC)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "ALLNORM_NVRTC=${ALLNORM_VENV_NVRTC}")
  endif()
endfunction()

# allnorm_add_catch_tests(<label> <program> <source>...): one ctest for each test_*.cc, label.*. Catch tags a test with the
# name of its file (-#). No match is a failure: Catch2 3 does that by itself, 2 when asked.
if(Catch2_VERSION VERSION_LESS 3)
  set(no_match_fails --warn NoTests)
endif()
function(allnorm_add_catch_tests label program)
  foreach(path IN LISTS ARGN)
    cmake_path(GET path STEM name)
    if(name MATCHES "^test_")
      string(REGEX REPLACE "^test_" "${label}." test_name ${name})
      allnorm_add_test(${test_name} ${program} --filenames-as-tags ${no_match_fails} "[#${name}]")
      set_tests_properties(${test_name} PROPERTIES LABELS ${label} TIMEOUT 300)
    endif()
  endforeach()
endfunction()
allnorm_add_catch_tests(unit allnorm_unit_tests ${allnorm_unit_sources})
