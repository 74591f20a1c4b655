# The `allnorm` command, and allnorm_compile_times, which measures what NVRTC takes.
# Both hold the library in themselves, so that each is one file to copy.
file(GLOB allnorm_tool_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/*.cc)
set(compile_times ${PROJECT_SOURCE_DIR}/tools/compile_times.cc)
list(REMOVE_ITEM allnorm_tool_sources ${compile_times})

if(allnorm_tool_sources)
  add_executable(allnorm_command ${allnorm_tool_sources})
  target_link_libraries(allnorm_command PRIVATE allnorm_reference)
  set_target_properties(allnorm_command PROPERTIES OUTPUT_NAME allnorm)
  install(TARGETS allnorm_command)
endif()
if(EXISTS ${compile_times})
  add_executable(allnorm_compile_times ${compile_times})
  target_link_libraries(allnorm_compile_times PRIVATE allnorm_static)
endif()
