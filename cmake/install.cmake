# Install, and how others find us: find_package(allnorm) and pkg-config. Both work wherever the prefix is moved to.
include(CMakePackageConfigHelpers)
set(allnorm_package ${CMAKE_INSTALL_LIBDIR}/cmake/allnorm)

install(TARGETS allnorm EXPORT allnorm_targets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        PATTERN bootstrap_mpi.h EXCLUDE)
install(FILES ${ALLNORM_GENERATED}/allnorm/version.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/allnorm)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Nothing to find before our targets: users need none of our dependencies, but for MPI with the component mpi.
install(EXPORT allnorm_targets NAMESPACE allnorm:: FILE allnorm-targets.cmake DESTINATION ${allnorm_package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/allnorm-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/allnorm-config.cmake ${PROJECT_BINARY_DIR}/allnorm-config-version.cmake
        DESTINATION ${allnorm_package})

# pkg-config replaces ${pcfiledir} by the place of allnorm.pc.
file(RELATIVE_PATH allnorm_pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/cmake/allnorm.pc.in ${PROJECT_BINARY_DIR}/allnorm.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/allnorm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET allnorm_mpi)
  install(TARGETS allnorm_mpi EXPORT allnorm_mpi_targets)
  install(FILES ${PROJECT_SOURCE_DIR}/runtime/include/allnorm/bootstrap_mpi.h
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/allnorm)
  install(EXPORT allnorm_mpi_targets NAMESPACE allnorm:: FILE allnorm-mpi-targets.cmake DESTINATION ${allnorm_package})
  configure_file(${PROJECT_SOURCE_DIR}/cmake/allnorm-mpi.pc.in ${PROJECT_BINARY_DIR}/allnorm-mpi.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/allnorm-mpi.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
