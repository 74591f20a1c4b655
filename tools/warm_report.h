// What `allnorm warm` says in the end, for people and for programs.
#ifndef ALLNORM_TOOLS_WARM_REPORT_H_
#define ALLNORM_TOOLS_WARM_REPORT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "dispatch/spec.h"

namespace allnorm::tools {

struct WarmReport {
  std::string directory;
  std::vector<std::string> manifests;  ///< Where they were written.
  std::size_t made = 0;
  std::size_t there = 0;
  std::int64_t made_bytes = 0;
  std::int64_t there_bytes = 0;
  std::size_t dropped = 0;
  std::string first_dropped;
  std::vector<std::pair<Spec, std::string>> failed;
  std::size_t left = 0;  ///< Neither made nor failed: interrupted before.
  bool interrupted = false;
  double seconds = 0.0;
  double compiler_seconds = 0.0;      ///< Of all workers together.
  std::vector<std::string> problems;  ///< With the manifests, or with what was kept.

  int exit_code() const;
  std::string to_text() const;
  std::string to_json() const;
};

/// Of a kernel, in a line of progress.
std::string short_name(const Spec& spec);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_WARM_REPORT_H_
