// From a Spec to what the compiler is given: source text, options, the kernel's name. Pure functions.
#ifndef ALLNORM_JIT_SPECIALIZE_H_
#define ALLNORM_JIT_SPECIALIZE_H_

#include <string>
#include <vector>

#include "device/device.h"
#include "dispatch/spec.h"

namespace allnorm {

/// A preamble that states the Spec as constants, then the strategy's file of kernels_src.
std::string specialized_source(const Spec& spec);

/// Canonical: no paths, always in this order. They are part of the numerics contract (design, section 3).
std::vector<std::string> compile_options(Target target);

/// The extern "C" name in the binary.
const char* kernel_name(const Spec& spec);

LaunchShape launch_shape(const Spec& spec);

}  // namespace allnorm

#endif  // ALLNORM_JIT_SPECIALIZE_H_
