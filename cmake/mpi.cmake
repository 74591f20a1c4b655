# liballnorm_mpi.a, a Bootstrap over MPI: built where an MPI is found. Beside liballnorm.so, which any program can link, as
# this speaks the ABI of one MPI. A static library: one MPI's MPI_Comm is not the other's, so the linker finds what does
# not fit.
set(ALLNORM_MPI AUTO CACHE STRING "Build allnorm::mpi: AUTO (where an MPI is found), ON or OFF")
set_property(CACHE ALLNORM_MPI PROPERTY STRINGS AUTO ON OFF)
if(NOT ALLNORM_MPI MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "ALLNORM_MPI: ${ALLNORM_MPI} was given; AUTO, ON and OFF are allowed")
endif()

if(NOT ALLNORM_MPI STREQUAL OFF)
  # CXX, as C is no language of this project; not MPI's own C++ functions, which only few have.
  set(MPI_CXX_SKIP_MPICXX ON)
  find_package(MPI QUIET COMPONENTS CXX)
  if(ALLNORM_MPI STREQUAL ON AND NOT MPI_CXX_FOUND)
    message(FATAL_ERROR "ALLNORM_MPI is ON, and no MPI is found (Debian: libopenmpi-dev). Its compiler, mpicxx, in another "
                        "place: MPI_CXX_COMPILER.")
  endif()
endif()

if(MPI_CXX_FOUND)
  # Without liballnorm: our own tests hold that in themselves.
  add_library(allnorm_mpi_objects OBJECT ${PROJECT_SOURCE_DIR}/runtime/mpi/bootstrap_mpi.cc)
  target_include_directories(allnorm_mpi_objects PUBLIC ${PROJECT_SOURCE_DIR}/runtime/include)
  target_link_libraries(allnorm_mpi_objects PUBLIC MPI::MPI_CXX)

  add_library(allnorm_mpi STATIC $<TARGET_OBJECTS:allnorm_mpi_objects>)
  target_link_libraries(allnorm_mpi PUBLIC allnorm MPI::MPI_CXX)
  set_target_properties(allnorm_mpi PROPERTIES EXPORT_NAME mpi)
  add_library(allnorm::mpi ALIAS allnorm_mpi)
endif()
