# The `allnorm` command. It holds the library in itself, so that it is one file to copy.
file(GLOB allnorm_tool_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/*.cc)
if(allnorm_tool_sources)
  include(prebuilt)
  # All but main(), once: the unit tests use it, too.
  set(allnorm_main ${PROJECT_SOURCE_DIR}/tools/main.cc)
  list(REMOVE_ITEM allnorm_tool_sources ${allnorm_main})
  add_library(allnorm_tools OBJECT ${allnorm_tool_sources} ${ALLNORM_PREBUILT})
  target_include_directories(allnorm_tools PUBLIC ${PROJECT_SOURCE_DIR}/tools)
  target_link_libraries(allnorm_tools PUBLIC allnorm_scenarios allnorm_session)
  allnorm_precompile(allnorm_tools)  # with CLI11 in it, the 50 files that do not use it would take twice as long
  add_executable(allnorm_command ${allnorm_main})
  target_link_libraries(allnorm_command PRIVATE allnorm_tools)
  # Command lines and tables: what takes time is in the library.
  foreach(target allnorm_tools allnorm_command)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endforeach()
  set_target_properties(allnorm_command PROPERTIES OUTPUT_NAME allnorm)
  install(TARGETS allnorm_command)
endif()
