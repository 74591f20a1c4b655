// What the tests of kernels for the target `host` share: a Spec, an environment, other programs that act as compilers.
#ifndef ALLNORM_TESTS_UNIT_HOST_KERNEL_H_
#define ALLNORM_TESTS_UNIT_HOST_KERNEL_H_

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "dispatch/geometry.h"
#include "dispatch/spec.h"
#include "env/env.h"

namespace allnorm::testing {

inline Spec host_spec() {
  Spec spec;
  spec.target = Target::kHost;
  spec.world_size = 2;
  spec.hidden_dim = 512;
  spec.geometry = default_geometry(spec.hidden_dim, spec.dtype, 1, spec.world_size, 132);
  return spec;
}

/// The process's compilers, and no cache.
inline Env host_env() {
  Env env;
  if (const char* path = std::getenv("PATH")) env.search_path = path;
  return env;
}

/// The environment, with a cache there.
inline Env with_cache(Env env, const std::string& directory) {
  env.cache.directory = directory;
  return env;
}

/// A shell script that can be run. It says that it is a compiler, unless the script has something else to say.
inline std::string make_program(const std::string& path, const std::string& script) {
  std::ofstream(path)
      << "#!/bin/sh\ncase $1 in --version) echo test compiler 1;; -dumpmachine) echo test-machine;; *)\n"
      << script << "\n;; esac\n";
  ::chmod(path.c_str(), 0700);
  return path;
}

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_UNIT_HOST_KERNEL_H_
