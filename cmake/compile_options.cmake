# How all of our own code is compiled.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# No -Wpedantic: our code may use __int128. Public headers are compiled with it, in tests/consumer.
# -ffp-contract=off: the numeric contract allows only the fma that it writes.
add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -ffp-contract=off)
# g++ 12 sees overlaps in "literal" + std::string that are not there (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)
endif()
if(ALLNORM_WERROR)
  add_compile_options(-Werror)
endif()
if(ALLNORM_SANITIZE)
  add_compile_options(-fsanitize=${ALLNORM_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ALLNORM_SANITIZE})
endif()

# ccache makes a second build of the same sources quick.
find_program(ALLNORM_CCACHE ccache)
if(ALLNORM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # It keeps objects that use precompiled headers only where it is told that it may.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${ALLNORM_CCACHE})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  add_compile_options(-fpch-preprocess)  # for ccache, too
endif()
