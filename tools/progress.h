// A counter on stderr for work that takes longer than a second: "compiling 12 of 32: nvfp4".
//
// On a terminal it is one line that is overwritten and cleared in the end; elsewhere, such as in a
// log, a line every few seconds.
#ifndef ALLNORM_TOOLS_PROGRESS_H_
#define ALLNORM_TOOLS_PROGRESS_H_

#include <chrono>
#include <cstddef>
#include <string>

namespace allnorm::tools {

class Progress {
 public:
  Progress(std::string verb, std::size_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Before each step.
  void step(const std::string& what);
  /// For who counts by himself: `count` are done.
  void show(std::size_t count, const std::string& what);

 private:
  using Clock = std::chrono::steady_clock;
  std::string verb_;
  std::size_t total_;
  std::size_t count_ = 0;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point next_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_PROGRESS_H_
