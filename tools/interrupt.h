// Ctrl-C and SIGTERM as a question: has somebody asked to stop?
//
// While one of these lives, the two signals reach the process only within poll(), and do nothing but to be counted.
// One at a time, in the only thread.
#ifndef ALLNORM_TOOLS_INTERRUPT_H_
#define ALLNORM_TOOLS_INTERRUPT_H_

#include <poll.h>
#include <signal.h>

#include <vector>

namespace allnorm::tools {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// Signals so far.
  int count() const noexcept;

  /// poll(2), which a signal ends; negative milliseconds: no limit.
  void poll(std::vector<pollfd>& descriptors, int milliseconds) const;

 private:
  sigset_t mask_before_{};
  struct sigaction int_before_{};
  struct sigaction term_before_{};
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_INTERRUPT_H_
