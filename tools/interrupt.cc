#include "interrupt.h"

#include <ctime>

namespace allnorm::tools {
namespace {

volatile sig_atomic_t signals = 0;

void count_signal(int) { signals = signals + 1; }

/// The next pending one of these, or none: without waiting.
bool take_pending(const sigset_t& of) {
  const timespec now = {0, 0};
  return sigtimedwait(&of, nullptr, &now) > 0;
}

}  // namespace

Interrupt::Interrupt() {
  signals = 0;
  sigset_t both;
  sigemptyset(&both);
  sigaddset(&both, SIGINT);
  sigaddset(&both, SIGTERM);
  sigprocmask(SIG_BLOCK, &both, &mask_before_);
  struct sigaction action{};
  action.sa_handler = count_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, &term_before_);
  // A shell starts what runs in the background with SIGINT ignored: Ctrl-C is for others then.
  sigaction(SIGINT, nullptr, &int_before_);
  if (int_before_.sa_handler != SIG_IGN) sigaction(SIGINT, &action, nullptr);
}

Interrupt::~Interrupt() {
  sigset_t pending;
  // A signal that came after the last poll() was meant for what is over.
  sigemptyset(&pending);
  sigaddset(&pending, SIGINT);
  sigaddset(&pending, SIGTERM);
  while (take_pending(pending)) {
  }
  sigaction(SIGTERM, &term_before_, nullptr);
  sigaction(SIGINT, &int_before_, nullptr);
  sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

int Interrupt::count() const noexcept { return signals; }

void Interrupt::poll(std::vector<pollfd>& descriptors, int milliseconds) const {
  sigset_t none = mask_before_;
  sigdelset(&none, SIGINT);
  sigdelset(&none, SIGTERM);
  const timespec limit = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  for (pollfd& descriptor : descriptors) descriptor.revents = 0;
  ppoll(descriptors.data(), descriptors.size(), milliseconds < 0 ? nullptr : &limit, &none);
  // Where a descriptor is ready as well, ppoll leaves a signal pending.
  sigset_t heeded;
  sigemptyset(&heeded);
  sigaddset(&heeded, SIGTERM);
  if (int_before_.sa_handler != SIG_IGN) sigaddset(&heeded, SIGINT);
  while (take_pending(heeded)) count_signal(0);
}

}  // namespace allnorm::tools
