// Files that were compiled into the library: the kernel sources and the tuned tables that ship.
#ifndef ALLNORM_JIT_EMBEDDED_H_
#define ALLNORM_JIT_EMBEDDED_H_

#include <span>
#include <string_view>

namespace allnorm {

struct EmbeddedFile {
  std::string_view name;  ///< Relative to its folder: "one_shot.cuh".
  std::string_view text;
};

/// kernels_src/**/*.cuh and runtime/tuned/*.json, each in the order of their names.
std::span<const EmbeddedFile> embedded_kernel_sources();
std::span<const EmbeddedFile> embedded_tuned_tables();

}  // namespace allnorm

#endif  // ALLNORM_JIT_EMBEDDED_H_
