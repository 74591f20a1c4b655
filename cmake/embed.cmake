# Puts the kernel sources and the tuned tables into the library: see runtime/jit/embedded.h.
file(GLOB_RECURSE allnorm_kernel_files CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/kernels_src
     ${PROJECT_SOURCE_DIR}/kernels_src/*.cuh)
file(GLOB allnorm_tuned_files CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/runtime/tuned
     ${PROJECT_SOURCE_DIR}/runtime/tuned/*.json)

set(ALLNORM_EMBEDDED ${ALLNORM_GENERATED}/embedded.cc)
list(TRANSFORM allnorm_kernel_files PREPEND ${PROJECT_SOURCE_DIR}/kernels_src/ OUTPUT_VARIABLE kernel_paths)
list(TRANSFORM allnorm_tuned_files PREPEND ${PROJECT_SOURCE_DIR}/runtime/tuned/ OUTPUT_VARIABLE tuned_paths)
add_custom_command(
  OUTPUT ${ALLNORM_EMBEDDED}
  COMMAND ${CMAKE_COMMAND} "-DOUTPUT=${ALLNORM_EMBEDDED}" "-DSOURCE_DIR=${PROJECT_SOURCE_DIR}"
          "-DKERNELS=${allnorm_kernel_files}" "-DTABLES=${allnorm_tuned_files}"
          -P ${PROJECT_SOURCE_DIR}/cmake/write_embedded.cmake
  DEPENDS ${kernel_paths} ${tuned_paths} ${PROJECT_SOURCE_DIR}/cmake/write_embedded.cmake
  COMMENT "Embedding kernel sources and tuned tables"
  VERBATIM)
