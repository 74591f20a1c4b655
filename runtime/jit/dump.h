// Writes what a compilation went through to files, for whoever develops kernels (ALLNORM_DUMP).
#ifndef ALLNORM_JIT_DUMP_H_
#define ALLNORM_JIT_DUMP_H_

#include <string>

#include "env/env.h"
#include "jit/host_compiler.h"
#include "jit/nvrtc.h"

namespace allnorm {

/// Into env.dump_dir: <first 16 digits of the key>.cu, .ptx, .sass, .log, as env.dump says. SASS needs nvdisasm or
/// cuobjdump on PATH. Failures are logged, never thrown.
void dump_compilation(const Env& env, const std::string& key, const std::string& source,
                      const Nvrtc::Result& result) noexcept;
/// The same for the target `host`: .cc and .log. There is no PTX or SASS.
void dump_compilation(const Env& env, const std::string& key, const std::string& source,
                      const HostCompiler::Result& result) noexcept;

}  // namespace allnorm

#endif  // ALLNORM_JIT_DUMP_H_
