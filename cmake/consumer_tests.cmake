# Installs into a prefix, moves the prefix, and builds and runs programs that use the library from there.
# Not with sanitizers: the programs would need them too.
if(NOT ALLNORM_SANITIZE)
  set(prefix ${PROJECT_BINARY_DIR}/consumer/prefix)
  add_test(NAME consumer.install
           COMMAND bash ${PROJECT_SOURCE_DIR}/tests/consumer/install ${PROJECT_BINARY_DIR} ${prefix})
  set_tests_properties(consumer.install PROPERTIES FIXTURES_SETUP installed LABELS consumer)

  set(ways find_package pkg_config)
  if(EXISTS ${PROJECT_SOURCE_DIR}/runtime/include/allnorm/allnorm_c.h)
    list(APPEND ways c)
  endif()
  foreach(way IN LISTS ways)
    add_test(NAME consumer.${way}
             COMMAND bash ${PROJECT_SOURCE_DIR}/tests/consumer/use_${way} ${prefix} ${CMAKE_INSTALL_LIBDIR}
                     ${PROJECT_BINARY_DIR}/consumer/${way})
    set_tests_properties(consumer.${way} PROPERTIES FIXTURES_REQUIRED installed LABELS consumer
                         ENVIRONMENT "CXX=${CMAKE_CXX_COMPILER}")
  endforeach()

  set(with_mpi no)
  if(TARGET allnorm_mpi_tests)
    set(with_mpi yes)
  endif()
  if(with_mpi OR NOT TARGET allnorm_mpi)
    add_test(NAME consumer.mpi
             COMMAND bash ${PROJECT_SOURCE_DIR}/tests/consumer/use_mpi ${prefix} ${CMAKE_INSTALL_LIBDIR}
                     ${PROJECT_BINARY_DIR}/consumer/mpi ${with_mpi})
    set_tests_properties(consumer.mpi PROPERTIES FIXTURES_REQUIRED installed LABELS consumer)
    set_property(TEST consumer.mpi PROPERTY ENVIRONMENT "CXX=${CMAKE_CXX_COMPILER}" "MPIEXEC=${MPIEXEC_EXECUTABLE}"
                 "MPICXX=${MPI_CXX_COMPILER}" ${ALLNORM_MPI_ENVIRONMENT})
  endif()

  add_test(NAME consumer.readme_example
           COMMAND bash ${PROJECT_SOURCE_DIR}/tests/consumer/use_readme_example ${prefix} ${CMAKE_INSTALL_LIBDIR}
                   ${PROJECT_BINARY_DIR}/consumer/readme_example)
  set(environment "CXX=${CMAKE_CXX_COMPILER}" "ALLNORM_CXX=${CMAKE_CXX_COMPILER}")
  if(ALLNORM_VENV_NVRTC)
    list(APPEND environment "ALLNORM_NVRTC=${ALLNORM_VENV_NVRTC}")
  endif()
  set_tests_properties(consumer.readme_example PROPERTIES FIXTURES_REQUIRED installed LABELS consumer
                       ENVIRONMENT "${environment}")
endif()
