# The `allnorm` command. It holds the library in itself, so that it is one file to copy.
file(GLOB allnorm_tool_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/*.cc)
if(allnorm_tool_sources)
  include(prebuilt)
  add_executable(allnorm_command ${allnorm_tool_sources} ${ALLNORM_PREBUILT})
  target_include_directories(allnorm_command PRIVATE ${PROJECT_SOURCE_DIR}/tools)
  target_link_libraries(allnorm_command PRIVATE allnorm_scenarios allnorm_session)
  allnorm_precompile(allnorm_command <CLI/CLI.hpp> <nlohmann/json.hpp>)
  # Command lines and tables: what takes time is in the library.
  target_compile_options(allnorm_command PRIVATE $<$<CONFIG:Release>:-O1>)
  set_target_properties(allnorm_command PROPERTIES OUTPUT_NAME allnorm)
  install(TARGETS allnorm_command)
endif()
