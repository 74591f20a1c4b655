# Tests of the files that we ship, not of what they do.
add_test(NAME binary.exports
         COMMAND bash ${PROJECT_SOURCE_DIR}/tests/binary/check-exports $<TARGET_FILE:allnorm>)
set_tests_properties(binary.exports PROPERTIES LABELS binary)

# Sanitizers bring libraries of their own.
if(NOT ALLNORM_SANITIZE)
  set(allowed libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 ld-linux-x86-64.so.2)
  if(NOT ALLNORM_PORTABLE)
    list(APPEND allowed libstdc++.so.6 libgcc_s.so.1)
  endif()
  set(binaries $<TARGET_FILE:allnorm>)
  if(TARGET allnorm_command)
    list(APPEND binaries $<TARGET_FILE:allnorm_command>)
  endif()
  add_test(NAME binary.needed
           COMMAND bash ${PROJECT_SOURCE_DIR}/tests/binary/check-needed "${allowed}" ${binaries})
  set_tests_properties(binary.needed PROPERTIES LABELS binary)
endif()
