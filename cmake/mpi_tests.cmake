# Tests of allnorm::mpi, four ranks under mpirun. Without an MPI they are skipped, and say so; with sanitizers, too: MPI is
# compiled without, and what it does beside them is not ours.
#
# For Open MPI, and nothing to others: more ranks than cores, as root as well, on no core of their own, and no reads of each
# other's memory, which containers forbid.
set(ALLNORM_MPI_ENVIRONMENT OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe OMPI_MCA_hwloc_base_binding_policy=none
    OMPI_MCA_btl_vader_single_copy_mechanism=none)

if(TARGET allnorm_mpi AND MPIEXEC_EXECUTABLE AND NOT ALLNORM_SANITIZE)
  file(GLOB allnorm_mpi_test_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/mpi/*.cc)
  add_executable(allnorm_mpi_tests ${allnorm_mpi_test_sources} ${PROJECT_SOURCE_DIR}/tests/fault/rank_worlds.cc)
  target_include_directories(allnorm_mpi_tests PRIVATE
    ${PROJECT_SOURCE_DIR}/tests/mpi ${PROJECT_SOURCE_DIR}/tests/fault ${PROJECT_SOURCE_DIR}/tests/unit)
  target_link_libraries(allnorm_mpi_tests PRIVATE allnorm_mpi_objects allnorm_static Catch2::Catch2)
  # Catch2 2 is compiled in main.cc.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/mpi/main.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  allnorm_precompile(allnorm_mpi_tests ${ALLNORM_CATCH_HEADER})
  target_compile_options(allnorm_mpi_tests PRIVATE ${ALLNORM_TEST_OPTIONS})
  target_compile_definitions(allnorm_mpi_tests PRIVATE ALLNORM_STUB_DRIVER="$<TARGET_FILE:allnorm_stub_driver>")
  add_dependencies(allnorm_mpi_tests allnorm_stub_driver)

  allnorm_add_catch_tests(mpi
    "${MPIEXEC_EXECUTABLE};${MPIEXEC_NUMPROC_FLAG};4;$<TARGET_FILE:allnorm_mpi_tests>" ${allnorm_mpi_test_sources})
  set_property(TEST mpi.bootstrap mpi.world APPEND PROPERTY ENVIRONMENT ${ALLNORM_MPI_ENVIRONMENT})
else()
  if(ALLNORM_SANITIZE)
    set(reason "MPI is compiled without sanitizers")
  else()
    set(reason "no MPI was found (Debian: openmpi-bin, libopenmpi-dev), or ALLNORM_MPI is OFF")
  endif()
  foreach(name bootstrap world)
    add_test(NAME mpi.${name} COMMAND ${CMAKE_COMMAND} -E echo "skipped: ${reason}")
    set_tests_properties(mpi.${name} PROPERTIES LABELS mpi SKIP_REGULAR_EXPRESSION "^skipped: ")
  endforeach()
endif()
