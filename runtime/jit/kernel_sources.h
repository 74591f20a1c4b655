// The files of kernels_src: those embedded in the library, or a folder that overrides them during development.
#ifndef ALLNORM_JIT_KERNEL_SOURCES_H_
#define ALLNORM_JIT_KERNEL_SOURCES_H_

#include <span>
#include <string>
#include <vector>

#include "jit/embedded.h"

namespace allnorm {

/// Immutable; holds the text of an override folder, if there is one.
class KernelSources {
 public:
  /// `folder` empty: the embedded files. Throws kCompiler if the folder has no *.cuh that can be read.
  explicit KernelSources(const std::string& folder);
  KernelSources(const KernelSources&) = delete;
  KernelSources& operator=(const KernelSources&) = delete;

  std::span<const EmbeddedFile> files() const noexcept { return files_; }
  /// SHA-256 over names and texts: what tuned tables and cache keys call the kernel digest.
  const std::string& digest() const noexcept { return digest_; }

 private:
  std::vector<std::string> texts_;
  std::vector<EmbeddedFile> files_;
  std::string digest_;
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_KERNEL_SOURCES_H_
