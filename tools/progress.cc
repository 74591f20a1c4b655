#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace allnorm::tools {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kQuiet{1000};
constexpr milliseconds kTerminalInterval{50};
constexpr milliseconds kLogInterval{3000};

}  // namespace

Progress::Progress(std::string verb, std::size_t total)
    : verb_(std::move(verb)), total_(total), terminal_(isatty(STDERR_FILENO) != 0), next_(Clock::now() + kQuiet) {}

Progress::~Progress() {
  if (shown_ && terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::step(const std::string& what) { show(count_ + 1, what); }

void Progress::show(std::size_t count, const std::string& what) {
  count_ = count;
  if (Clock::now() < next_) return;
  next_ = Clock::now() + (terminal_ ? kTerminalInterval : kLogInterval);
  shown_ = true;
  const std::string line = fmt::format("{} {} of {}: {}", verb_, count_, total_, what);
  const std::string text = terminal_ ? "\r\033[K" + line : line + "\n";
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace allnorm::tools
