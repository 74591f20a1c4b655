// Compiles several kernels at once, in threads of its own, up to a limit.
//
// Kernels that another process compiles just now are left for the end, so that processes which need the same kernels
// share the work. Thread safety: compile_all() may run in any number of threads.
#ifndef ALLNORM_JIT_COMPILE_POOL_H_
#define ALLNORM_JIT_COMPILE_POOL_H_

#include <cstddef>
#include <functional>
#include <span>

#include "dispatch/spec.h"
#include "jit/compiler.h"

namespace allnorm {

struct CompileStep {
  std::size_t done;  ///< Kernels that are ready, this one included.
  std::size_t total;
  const Spec& spec;
  const CompiledKernel& kernel;
};

struct CompilePool {
  KernelCompiler& compiler;
  unsigned parallel = 0;  ///< Threads; 0: as many as the CPU has, at most 8.
  /// Called once a kernel, from the threads, one at a time. What it throws ends the rest.
  std::function<void(const CompileStep&)> on_ready;

  /// Returns when all are ready. Throws what the first failure threw, once all threads have ended; what was not begun
  /// by then is left.
  void compile_all(std::span<const Spec> specs) const;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_COMPILE_POOL_H_
