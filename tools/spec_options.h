// The flags that name a kernel: one for each field of a Spec.
#ifndef ALLNORM_TOOLS_SPEC_OPTIONS_H_
#define ALLNORM_TOOLS_SPEC_OPTIONS_H_

#include <optional>
#include <string>

#include "dispatch/spec.h"
#include "options.h"

namespace allnorm::tools {

/// "4x7x1", of the flag --geometry. Throws UsageError.
Geometry parse_geometry(const std::string& text);

/// A message about a Spec, which begins with a field, with the name of the field's flag.
std::string name_flag(const std::string& message);

/// Declares the flags on an App, and must outlive its parsing.
class SpecOptions {
 public:
  explicit SpecOptions(CLI::App& app);

  /// What was asked for, checked. Throws UsageError.
  Spec spec() const;

 private:
  Spec spec_;
  std::optional<DataType> gamma_dtype_;
  std::optional<ScaleLayout> layout_;
  std::string geometry_;
  bool no_output_ = false;
  bool no_residual_out_ = false;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_SPEC_OPTIONS_H_
