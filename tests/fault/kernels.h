// What the tests of faults compile: some Specs, by compilers that take no time.
#ifndef ALLNORM_TESTS_FAULT_KERNELS_H_
#define ALLNORM_TESTS_FAULT_KERNELS_H_

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cache/sha256.h"
#include "environment.h"
#include "host_kernel.h"
#include "jit/compiler.h"

namespace allnorm::testing {

/// Different ones.
inline std::vector<Spec> some_specs(Target target, int count) {
  std::vector<Spec> specs;
  for (int i = 0; i < count; i++) {
    Spec spec = host_spec();
    spec.target = target;
    spec.hidden_dim = 512 * (1 + i);
    spec.geometry = default_geometry(spec.hidden_dim, spec.dtype, 1, spec.world_size, 132);
    specs.push_back(spec);
  }
  return specs;
}

/// An environment whose NVRTC is tests/fault/stub_nvrtc.cc.
inline Env stub_env() {
  Env env = host_env();
  env.nvrtc_path = ALLNORM_STUB_NVRTC;
  return env;
}

inline std::string_view text_of(const CompiledKernel& kernel) {
  return {reinterpret_cast<const char*>(kernel.binary.data()), kernel.binary.size()};
}

inline std::string digest_of(const CompiledKernel& kernel) { return cache::to_hex(cache::sha256(text_of(kernel))); }

/// What the environment's compiler makes of the Specs, without any cache.
inline std::vector<std::string> right_digests(Env env, const std::vector<Spec>& specs) {
  env.cache = {};
  KernelCompiler compiler(env);
  std::vector<std::string> digests;
  for (const Spec& spec : specs) digests.push_back(digest_of(compiler.compile(spec)));
  return digests;
}

/// While it lives, temporary folders are in memory, where there is such a disk: thousands of small files are quick
/// there.
struct MemoryFolder {
  Variable variable{"TMPDIR", ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::getenv("TMPDIR")};
};

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_FAULT_KERNELS_H_
