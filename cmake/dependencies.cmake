# Finds what we build with, and names all that is missing at once.
#
# The libraries are used by bare include paths and static archives, not by their imported targets: fmt and spdlog are
# compiled into a file of ours, so that neither liballnorm.so nor its users need them at run time.
include(cuda)

set(allnorm_missing "")

# allnorm_need(<variable> <what it is, and how Debian calls its package>): notes it if nothing was found.
macro(allnorm_need variable description)
  if(NOT ${variable})
    list(APPEND allnorm_missing "${description}")
  endif()
endmacro()

find_path(ALLNORM_FMT_INCLUDE fmt/format.h)
find_path(ALLNORM_SPDLOG_INCLUDE spdlog/spdlog.h)
find_path(ALLNORM_JSON_INCLUDE nlohmann/json.hpp)
find_path(ALLNORM_OPENSSL_INCLUDE openssl/evp.h)
find_path(ALLNORM_BOOST_INCLUDE boost/context/fiber.hpp)
if(ALLNORM_PORTABLE)
  find_library(ALLNORM_CRYPTO_LIBRARY libcrypto.a)
  find_library(ALLNORM_BOOST_CONTEXT_LIBRARY libboost_context.a)
else()
  find_library(ALLNORM_CRYPTO_LIBRARY NAMES libcrypto.a crypto)
  find_library(ALLNORM_BOOST_CONTEXT_LIBRARY NAMES libboost_context.a boost_context)
endif()
allnorm_need(ALLNORM_FMT_INCLUDE "fmt (libfmt-dev)")
allnorm_need(ALLNORM_SPDLOG_INCLUDE "spdlog (libspdlog-dev)")
allnorm_need(ALLNORM_JSON_INCLUDE "nlohmann_json (nlohmann-json3-dev)")
allnorm_need(ALLNORM_OPENSSL_INCLUDE "OpenSSL headers (libssl-dev)")
allnorm_need(ALLNORM_CRYPTO_LIBRARY "OpenSSL libcrypto (libssl-dev)")
allnorm_need(ALLNORM_BOOST_INCLUDE "Boost.Context headers (libboost-context-dev)")
allnorm_need(ALLNORM_BOOST_CONTEXT_LIBRARY "Boost.Context (libboost-context-dev)")
allnorm_need(ALLNORM_CUDA_INCLUDE "cuda.h ${allnorm_cuda_hint}")
allnorm_need(ALLNORM_NVRTC_INCLUDE "nvrtc.h ${allnorm_cuda_hint}")
if(ALLNORM_TOOLS OR ALLNORM_TESTS)
  find_path(ALLNORM_CLI11_INCLUDE CLI/CLI.hpp)
  allnorm_need(ALLNORM_CLI11_INCLUDE "CLI11 (libcli11-dev)")
endif()
if(ALLNORM_TESTS)
  find_package(Catch2 QUIET)
  allnorm_need(Catch2_FOUND "Catch2 (catch2)")
endif()

if(allnorm_missing)
  list(JOIN allnorm_missing "\n  - " allnorm_missing)
  message(FATAL_ERROR "AllNorm cannot be built, this is missing (Debian package in brackets):\n  - ${allnorm_missing}\n"
                      "tools/run-tests installs all of it on Debian 12. Libraries in other places: CMAKE_PREFIX_PATH.")
endif()

# Everything that our own sources compile and link with. Never in the interface of the installed library.
find_package(Threads REQUIRED)
add_library(allnorm_dependencies INTERFACE)
target_include_directories(allnorm_dependencies SYSTEM INTERFACE
  ${ALLNORM_FMT_INCLUDE} ${ALLNORM_SPDLOG_INCLUDE} ${ALLNORM_JSON_INCLUDE} ${ALLNORM_OPENSSL_INCLUDE}
  ${ALLNORM_BOOST_INCLUDE} ${ALLNORM_CLI11_INCLUDE} ${ALLNORM_CUDA_INCLUDES})
target_compile_definitions(allnorm_dependencies INTERFACE SPDLOG_FMT_EXTERNAL)
# runtime/env/fmt.cc holds what fmt's own library would, for the versions of Debian 12 and Ubuntu 24.04.
file(STRINGS ${ALLNORM_FMT_INCLUDE}/fmt/core.h allnorm_fmt_version REGEX "^#define FMT_VERSION ")
if(NOT allnorm_fmt_version MATCHES " 9[0-9][0-9][0-9][0-9]$")
  target_compile_definitions(allnorm_dependencies INTERFACE FMT_HEADER_ONLY)
endif()
target_link_libraries(allnorm_dependencies INTERFACE
  ${ALLNORM_CRYPTO_LIBRARY} ${ALLNORM_BOOST_CONTEXT_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS})
