# The unit tests. The reference: see reference.cmake.
file(GLOB allnorm_unit_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/*.cc)
list(FILTER allnorm_unit_sources EXCLUDE REGEX "/main\\.cc$")

add_executable(allnorm_unit_tests ${allnorm_unit_sources})
target_include_directories(allnorm_unit_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
# What can be tested of the command without running it is in allnorm_tools.
target_link_libraries(allnorm_unit_tests PRIVATE allnorm_tools allnorm_calls allnorm_test_main)
allnorm_precompile(allnorm_unit_tests ${ALLNORM_CATCH_HEADER})
target_compile_options(allnorm_unit_tests PRIVATE ${ALLNORM_TEST_OPTIONS})
target_compile_definitions(allnorm_unit_tests PRIVATE ALLNORM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
if(TARGET allnorm_command)
  # As a shell starts it.
  list(JOIN CMAKE_CROSSCOMPILING_EMULATOR " " emulator)
  string(STRIP "${emulator} $<TARGET_FILE:allnorm_command>" command)
  target_compile_definitions(allnorm_unit_tests PRIVATE ALLNORM_COMMAND="${command}")
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
# In QEMU without those tagged [native]: it leaves exec to this machine's kernel, which knows nothing of programs for
# another, does not tell posix_spawn() that it failed, and may stand still where several threads start programs; and the
# simulator gets few addresses: see aarch64.cmake.
if(CMAKE_CROSSCOMPILING_EMULATOR)
  set(not_emulated "~[native]")
endif()
set(ALLNORM_TEST_SECONDS 300)
if(ALLNORM_SANITIZE)
  set(ALLNORM_TEST_SECONDS 1500)
elseif(CMAKE_CROSSCOMPILING_EMULATOR)
  set(ALLNORM_TEST_SECONDS 3600)  # unit.command compiles with NVRTC
endif()
function(allnorm_add_catch_tests label program)
  foreach(path IN LISTS ARGN)
    cmake_path(GET path STEM name)
    if(name MATCHES "^test_")
      string(REGEX REPLACE "^test_" "${label}." test_name ${name})
      allnorm_add_test(${test_name} ${program} --filenames-as-tags ${no_match_fails} "[#${name}]${not_emulated}")
      set_tests_properties(${test_name} PROPERTIES LABELS ${label} TIMEOUT ${ALLNORM_TEST_SECONDS})
    endif()
  endforeach()
endfunction()
allnorm_add_catch_tests(unit allnorm_unit_tests ${allnorm_unit_sources})
