# Compiles the kernels that `allnorm demo` runs on the simulator, with the compiler of this build, and puts them into
# the command: where it is copied to there may be no compiler.
add_executable(allnorm_write_kernels
  ${PROJECT_SOURCE_DIR}/tools/prebuild/write_kernels.cc ${PROJECT_SOURCE_DIR}/tools/demo_specs.cc)
target_include_directories(allnorm_write_kernels PRIVATE ${PROJECT_SOURCE_DIR}/tools)
target_link_libraries(allnorm_write_kernels PRIVATE allnorm_static)

set(ALLNORM_PREBUILT ${ALLNORM_GENERATED}/prebuilt_kernels.cc)
add_custom_command(
  OUTPUT ${ALLNORM_PREBUILT}
  COMMAND ${CMAKE_COMMAND} -E env ALLNORM_CXX=${CMAKE_CXX_COMPILER}
          ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:allnorm_write_kernels> ${ALLNORM_PREBUILT}
  DEPENDS allnorm_write_kernels
  COMMENT "Compiling kernels of the simulator"
  VERBATIM)
