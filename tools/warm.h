// `allnorm warm`: its options, and its two ways: to compile, and to check what was compiled.
#ifndef ALLNORM_TOOLS_WARM_H_
#define ALLNORM_TOOLS_WARM_H_

#include <string>

#include "warm_request.h"

namespace allnorm::tools {

/// As a shell says it of Ctrl-C.
inline constexpr int kExitInterrupted = 130;

struct WarmOptions {
  explicit WarmOptions(CLI::App& app);

  WarmRequest request;
  std::string output;  ///< Empty: the user's cache.
  std::string write_manifest;
  unsigned workers = 0;
  bool check = false;
  bool dry_run = false;
  bool verbose = false;
  bool json = false;
};

/// --check: says what is wrong with the directory; kExitOk if nothing is, else kExitFailed.
int check_warm(const WarmOptions& options);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_WARM_H_
