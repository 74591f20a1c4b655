// Jobs for processes of this program: a line of text in, a line out.
//
// A worker gets its next job when it has answered. One that dies costs the job that it had, and is replaced. Workers
// end when their socket does, so also when this process dies.
#ifndef ALLNORM_TOOLS_WORKER_POOL_H_
#define ALLNORM_TOOLS_WORKER_POOL_H_

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "interrupt.h"

namespace allnorm::tools {

struct WorkerPool {
  std::vector<std::string> arguments;  ///< Of the program, from its subcommand on.
  unsigned workers = 1;
  const Interrupt& interrupt;
  std::function<void(std::size_t job, const std::string& answer)> on_answer;
  std::function<void(std::size_t job, const std::string& why)> on_death;

  /// Until all jobs are over; or, when interrupted, until those that were begun are: a moment at most, and at the
  /// second signal at once. Throws std::runtime_error if no worker can be started.
  void run(std::span<const std::string> jobs) const;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_WORKER_POOL_H_
