# Tests of the files that we ship, not of what they do.
add_test(NAME binary.exports
         COMMAND bash ${PROJECT_SOURCE_DIR}/tests/binary/check-exports $<TARGET_FILE:allnorm>)
set_tests_properties(binary.exports PROPERTIES LABELS binary)

# Sanitizers bring libraries of their own.
if(NOT ALLNORM_SANITIZE)
  # What every Linux has: the C library, and the unwinder that the C library itself loads.
  set(base libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 ld-linux-x86-64.so.2 ld-linux-aarch64.so.1
      libgcc_s.so.1)
  set(check_needed bash ${PROJECT_SOURCE_DIR}/tests/binary/check-needed)

  add_test(NAME binary.needed COMMAND ${check_needed} "${base};libstdc++.so.6" $<TARGET_FILE:allnorm>)
  set_tests_properties(binary.needed PROPERTIES LABELS binary)
  if(ALLNORM_PORTABLE)
    set(programs $<TARGET_FILE:allnorm_unit_tests>)
    if(TARGET allnorm_command)
      list(APPEND programs $<TARGET_FILE:allnorm_command>)
    endif()
    add_test(NAME binary.needed_portable COMMAND ${check_needed} "${base}" ${programs})
    set_tests_properties(binary.needed_portable PROPERTIES LABELS binary)
  endif()
endif()
