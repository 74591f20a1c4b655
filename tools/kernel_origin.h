// Where a compiled kernel comes from: what its entry's provenance says, which any program may have written.
//
// Value types, and functions without state.
#ifndef ALLNORM_TOOLS_KERNEL_ORIGIN_H_
#define ALLNORM_TOOLS_KERNEL_ORIGIN_H_

#include <optional>
#include <string>

#include "cache/key.h"
#include "dispatch/spec.h"

namespace allnorm::tools {

/// Each part is empty where the provenance does not have it, or not in a form that we know.
struct KernelOrigin {
  cache::Key::Fields key;    ///< What was hashed into the key.
  std::optional<Spec> spec;  ///< None of another version, whose Specs have other fields.
  std::string compiler;      ///< "NVRTC 12.9", "/usr/bin/c++".
  std::optional<double> compile_seconds;

  /// What the kernel is for, in few words.
  std::string purpose() const;
};

/// Trusts nothing of the text, and never throws for it.
KernelOrigin parse_origin(const std::string& provenance);

/// The Spec of a manifest's entry.
std::optional<Spec> parse_spec_text(const std::string& json);

/// "fused one_shot fp8, bf16, hidden 7168, world 8, 4x7x1": what is usual is left out.
std::string describe_briefly(const Spec& spec);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_KERNEL_ORIGIN_H_
