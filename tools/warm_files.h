// The files that `allnorm warm` reads: tuned tables, manifests, and Specs that a program recorded.
//
// What is wrong throws UsageError that names the flag, and then file and line.
#ifndef ALLNORM_TOOLS_WARM_FILES_H_
#define ALLNORM_TOOLS_WARM_FILES_H_

#include <optional>
#include <string>
#include <vector>

#include "cache/manifest.h"
#include "dispatch/spec.h"
#include "dispatch/table.h"

namespace allnorm::tools {

struct SpecsFile {
  std::vector<Spec> specs;                  ///< As they stand there; a Spec may be there twice.
  std::optional<cache::Manifest> manifest;  ///< If the file is one, and not a record.
};

Table read_table(const std::string& flag, const std::string& path);
SpecsFile read_specs(const std::string& flag, const std::string& path);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_WARM_FILES_H_
