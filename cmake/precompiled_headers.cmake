# What most files include, parsed once for a target: half of a build from nothing is parsing. A file still includes all that
# it uses; the preset `portable` builds without this and would say so.
option(ALLNORM_PRECOMPILED_HEADERS "Parse what most files include once" ON)

set(ALLNORM_COMMON_HEADERS <algorithm> <array> <atomic> <chrono> <cstdint> <filesystem> <fstream> <functional> <map> <memory>
    <mutex> <optional> <span> <string> <string_view> <thread> <utility> <vector> <fmt/format.h>)

# allnorm_precompile(<target> <header>...): beside the common ones.
function(allnorm_precompile target)
  if(ALLNORM_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} PRIVATE ${ALLNORM_COMMON_HEADERS} ${ARGN})
  endif()
endfunction()
