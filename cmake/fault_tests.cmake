# Tests of what goes wrong: disks that fail, processes that die, files that lie. They compile with a stub of NVRTC, and
# some start a program of their own, in numbers.
add_library(allnorm_stub_nvrtc MODULE EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/fault/stub_nvrtc.cc)
target_include_directories(allnorm_stub_nvrtc SYSTEM PRIVATE ${ALLNORM_NVRTC_INCLUDE})
set_target_properties(allnorm_stub_nvrtc PROPERTIES CXX_VISIBILITY_PRESET default)

add_library(allnorm_stub_driver MODULE EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/fault/stub_driver.cc
  ${PROJECT_SOURCE_DIR}/tests/fault/stub_driver_rest.cc ${PROJECT_SOURCE_DIR}/tests/fault/stub_multicast.cc)
target_include_directories(allnorm_stub_driver PRIVATE ${PROJECT_SOURCE_DIR})
target_include_directories(allnorm_stub_driver SYSTEM PRIVATE ${ALLNORM_CUDA_INCLUDE})

file(GLOB allnorm_fault_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fault/*.cc)
list(FILTER allnorm_fault_sources EXCLUDE REGEX "/(stub_[a-z_]*|process)\\.cc$")

add_executable(allnorm_fault_process ${PROJECT_SOURCE_DIR}/tests/fault/process.cc)
add_executable(allnorm_fault_tests ${allnorm_fault_sources})
foreach(program allnorm_fault_process allnorm_fault_tests)
  target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
  target_link_libraries(${program} PRIVATE allnorm_static)
  target_compile_options(${program} PRIVATE ${ALLNORM_TEST_OPTIONS})
  target_compile_definitions(${program} PRIVATE ALLNORM_STUB_NVRTC="$<TARGET_FILE:allnorm_stub_nvrtc>"
                             ALLNORM_STUB_DRIVER="$<TARGET_FILE:allnorm_stub_driver>")
  add_dependencies(${program} allnorm_stub_nvrtc allnorm_stub_driver)
endforeach()
allnorm_precompile(allnorm_fault_tests ${ALLNORM_CATCH_HEADER})
target_link_libraries(allnorm_fault_tests PRIVATE allnorm_test_main)
target_compile_definitions(allnorm_fault_tests PRIVATE ALLNORM_FAULT_PROCESS="$<TARGET_FILE:allnorm_fault_process>")
add_dependencies(allnorm_fault_tests allnorm_fault_process)
allnorm_add_catch_tests(fault allnorm_fault_tests ${allnorm_fault_sources})
