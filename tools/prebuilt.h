// Kernels for the simulator that come with the command, so that it needs no compiler for what it shows by default.
//
// The text of prebuilt_kernels.cc is written when the command is built: see tools/prebuild/write_kernels.cc.
#ifndef ALLNORM_TOOLS_PREBUILT_H_
#define ALLNORM_TOOLS_PREBUILT_H_

#include <span>

#include "jit/compiler.h"

namespace allnorm::tools {

/// Those of `allnorm demo` with its default options.
std::span<const PrebuiltKernel> prebuilt_kernels();

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_PREBUILT_H_
