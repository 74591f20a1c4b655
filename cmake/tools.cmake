# The `allnorm` command. It holds the library in itself, so that it is one file to copy.
file(GLOB allnorm_tool_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/*.cc)
if(allnorm_tool_sources)
  add_executable(allnorm_command ${allnorm_tool_sources})
  target_link_libraries(allnorm_command PRIVATE allnorm_scenarios)
  set_target_properties(allnorm_command PROPERTIES OUTPUT_NAME allnorm)
  install(TARGETS allnorm_command)
endif()
