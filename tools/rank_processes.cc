#include "rank_processes.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "command.h"
#include "env/env.h"
#include "interrupt.h"
#include "jit/run_program.h"

namespace allnorm::tools {
namespace {

constexpr const char* kGroupPrefix = "spawn_";
/// What the others may take to say that a rank is gone: the timeout of their calls, and a bit.
constexpr int kGraceSeconds = 45;

std::vector<std::string> own_arguments() {
  std::vector<std::string> all;
  std::ifstream file("/proc/self/cmdline");
  for (std::string one; std::getline(file, one, '\0');) all.push_back(one);
  std::vector<std::string> kept;
  for (std::size_t i = 0; i < all.size(); i++) {
    if (all[i] == "--spawn") {
      i++;
    } else if (!all[i].starts_with("--spawn=")) {
      kept.push_back(all[i]);
    }
  }
  return kept;
}

std::vector<std::string> environment_of(int rank, int count) {
  std::vector<std::string> variables = {fmt::format("RANK={}", rank), fmt::format("WORLD_SIZE={}", count),
                                        fmt::format("LOCAL_WORLD_SIZE={}", count),
                                        fmt::format("MASTER_PORT={}{}", kGroupPrefix, ::getpid())};
  for (char** variable = environ; *variable != nullptr; variable++) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('='));
    const bool is_launchers = name.starts_with("OMPI_COMM_WORLD_") || name.starts_with("PMI_");
    const bool is_ours = name == "RANK" || name == "WORLD_SIZE" || name == "LOCAL_WORLD_SIZE" || name == "MASTER_PORT";
    if (!is_launchers && !is_ours) variables.push_back(text);
  }
  return variables;
}

/// Those that have not ended: 0 stands for one that has.
void signal_all(const std::vector<pid_t>& ranks, int signal) {
  for (const pid_t rank : ranks) {
    if (rank != 0) ::kill(rank, signal);
  }
}

using Clock = std::chrono::steady_clock;

/// Ctrl-C and SIGTERM, as the parent of ranks takes them.
class Signals {
 public:
  /// For a moment; a first signal goes to all ranks, each of which ends in its own way. True if one came again, a
  /// second later or more: some send two at once.
  bool ask_again(const std::vector<pid_t>& ranks) {
    std::vector<pollfd> none;
    interrupt_.poll(none, 20);
    if (interrupt_.count() == heeded_) return false;
    const auto now = Clock::now();
    if (heeded_ == 0) {
      signal_all(ranks, SIGTERM);
      first_ = now;
    }
    heeded_ = interrupt_.count();
    return now - first_ > std::chrono::seconds(1);
  }

 private:
  const Interrupt interrupt_;
  int heeded_ = 0;
  Clock::time_point first_;
};

/// A child that has ended; 0 if none has within `seconds` (0: however long that takes), or before a second signal.
pid_t wait_for_one(int seconds, const std::vector<pid_t>& ranks, Signals& signals, int& status) {
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  for (;;) {
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended > 0) return ended;
    if (ended < 0 && errno != EINTR) return -1;
    if (seconds > 0 && Clock::now() > deadline) return 0;
    if (signals.ask_again(ranks)) return 0;
  }
}

/// A process that is stopped does not heed SIGTERM.
void end_all(const std::vector<pid_t>& ranks) {
  for (const int signal : {SIGTERM, SIGKILL}) {
    signal_all(ranks, signal);
    if (signal == SIGTERM) std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  for (const pid_t rank : ranks) {
    if (rank != 0) ::waitpid(rank, nullptr, 0);
  }
}

}  // namespace

int spawn_ranks(int count) {
  std::vector<std::string> arguments = own_arguments();
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < count; rank++) {
    std::vector<std::string> environment = environment_of(rank, count);
    pid_t child = 0;
    const int error = ::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, pointers_to(arguments).data(),
                                    pointers_to(environment).data());
    if (error != 0) {
      end_all(ranks);
      throw std::runtime_error(
          fmt::format("rank {} cannot be started: {}", rank, std::generic_category().message(error)));
    }
    ranks.push_back(child);
  }
  // Not before: a process begins with the signals blocked that were so for its parent.
  Signals signals;
  int worst = kExitOk;
  for (std::size_t left = ranks.size(); left > 0; left--) {
    int status = 0;
    const pid_t ended = wait_for_one(worst == kExitOk ? 0 : kGraceSeconds, ranks, signals, status);
    if (ended == 0) {
      end_all(ranks);
      worst = std::max(worst, kExitUnavailable);
      break;
    }
    const auto rank = std::find(ranks.begin(), ranks.end(), ended);
    if (rank == ranks.end()) break;
    if (WIFEXITED(status)) {
      worst = std::max(worst, WEXITSTATUS(status));
    } else {
      fmt::print(stderr, "allnorm: rank {} was killed by signal {} ({})\n", rank - ranks.begin(), WTERMSIG(status),
                 ::strsignal(WTERMSIG(status)));
      worst = std::max(worst, kExitUnavailable);
    }
    *rank = 0;
  }
  return worst;
}

void end_with_parent() {
  const char* given = Env::process_getter()("MASTER_PORT");
  const std::string group = given == nullptr ? "" : given;
  if (!group.starts_with(kGroupPrefix)) return;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // The parent may have ended before that.
  if (::getppid() == 1 && group != fmt::format("{}1", kGroupPrefix)) std::exit(kExitUnavailable);
}

}  // namespace allnorm::tools
