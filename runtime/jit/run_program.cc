#include "jit/run_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace allnorm {
namespace {

constexpr std::size_t kKeptBytes = 16 << 10;
constexpr int kPollMilliseconds = 100;
constexpr int kStatusUnknown = -1;

constexpr std::array<std::string_view, 9> kNotInherited = {"CPATH",
                                                           "C_INCLUDE_PATH",
                                                           "CPLUS_INCLUDE_PATH",
                                                           "DEPENDENCIES_OUTPUT",
                                                           "SUNPRO_DEPENDENCIES",
                                                           "LANGUAGE",
                                                           "CCC_OVERRIDE_OPTIONS",
                                                           "LC_ALL",
                                                           "TMPDIR"};

std::vector<std::string> environment_of(const Program& program) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; variable++) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('='));
    if (std::find(kNotInherited.begin(), kNotInherited.end(), name) == kNotInherited.end())
      variables.emplace_back(text);
  }
  variables.emplace_back("LC_ALL=C");
  variables.push_back("TMPDIR=" + program.temporary_folder);
  return variables;
}

/// 0, or the error number. The child is as if started by a shell, whatever signals its parent ignores or blocks:
/// a compiler waits for children of its own.
int spawn(const Program& program, int output, pid_t& child) {
  std::vector<std::string> arguments = program.arguments;
  arguments.insert(arguments.begin(), program.path);
  std::vector<std::string> variables = environment_of(program);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, program.folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (program.keep_errors) {
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawn(&child, program.path.c_str(), &actions, &attributes, pointers_to(arguments).data(),
                                pointers_to(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/// Whether the child has ended, with its status: unknown where the program has its children reaped in another way.
bool reap(pid_t child, int flags, int& status) {
  pid_t result = 0;
  do {
    result = waitpid(child, &status, flags);
  } while (result < 0 && errno == EINTR);
  if (result < 0) status = kStatusUnknown;
  return result != 0;
}

/// Reads to the end of the output, or to the child's: something that it leaves behind may hold the pipe open.
std::string read_output(int pipe, pid_t child, int& status) {
  std::string output;
  std::size_t dropped = 0;
  bool ended = false;
  std::array<char, 4096> buffer{};
  for (;;) {
    pollfd waiting = {pipe, POLLIN, 0};
    const int ready = poll(&waiting, 1, ended ? 0 : kPollMilliseconds);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      if (ended) break;
      ended = reap(child, WNOHANG, status);
      continue;
    }
    const ssize_t size = read(pipe, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    const std::size_t kept = std::min(static_cast<std::size_t>(size), kKeptBytes - output.size());
    output.append(buffer.data(), kept);
    dropped += static_cast<std::size_t>(size) - kept;
    if (ended && dropped > 0) break;
  }
  if (!ended) reap(child, 0, status);
  if (dropped > 0) output += fmt::format("\n... and {} bytes more\n", dropped);
  return output;
}

std::string describe_status(int status) {
  if (status == kStatusUnknown) return "its exit status is not known";
  if (WIFSIGNALED(status))
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

}  // namespace

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

ProgramEnd run_program(const Program& program) {
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return {false, fmt::format("it cannot be run: no pipe, {}", std::strerror(errno)), ""};
  }
  pid_t child = 0;
  const int error = spawn(program, pipe[1], child);
  close(pipe[1]);
  ProgramEnd end;
  if (error != 0) {
    end.how = fmt::format("it cannot be run: {}", std::strerror(error));
  } else {
    int status = kStatusUnknown;
    end.output = read_output(pipe[0], child, status);
    end.how = describe_status(status);
    end.succeeded = status == 0 || status == kStatusUnknown;
  }
  close(pipe[0]);
  return end;
}

}  // namespace allnorm
