# liballnorm: shared for users, static for our own tests and tools, which also call what is not exported.
file(GLOB_RECURSE allnorm_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/*.cc)
list(FILTER allnorm_sources EXCLUDE REGEX "/runtime/mpi/")  # see mpi.cmake
file(GLOB allnorm_cache_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cache/*.cc)

add_library(allnorm_objects OBJECT ${allnorm_sources} ${allnorm_cache_sources} ${ALLNORM_EMBEDDED})
target_include_directories(allnorm_objects PUBLIC
  ${PROJECT_SOURCE_DIR}/runtime/include ${ALLNORM_GENERATED} ${PROJECT_SOURCE_DIR}/runtime ${PROJECT_SOURCE_DIR})
target_link_libraries(allnorm_objects PUBLIC allnorm_dependencies)

allnorm_precompile(allnorm_objects)

add_library(allnorm_static STATIC)
target_link_libraries(allnorm_static PUBLIC allnorm_objects)
# Programs can hold the C++ library in themselves. liballnorm.so throws to its callers and must share theirs. Nothing holds
# libgcc, the unwinder: with a second one, an exception that passes from one to the other aborts. So it was (g++ 12) when
# one left liballnorm.so, and within a program when one passed glibc's pthread_once, which loads libgcc_s by itself.
if(ALLNORM_PORTABLE)
  target_link_options(allnorm_static INTERFACE -static-libstdc++)
endif()

add_library(allnorm SHARED)
target_link_libraries(allnorm PRIVATE allnorm_objects)
target_include_directories(allnorm INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/runtime/include>
  $<BUILD_INTERFACE:${ALLNORM_GENERATED}>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(allnorm INTERFACE cxx_std_20)
set_target_properties(allnorm PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
# Hidden visibility does not reach what static archives and instantiated std templates bring; the version script does.
target_link_options(allnorm PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map -Wl,--no-undefined)
add_library(allnorm::allnorm ALIAS allnorm)
