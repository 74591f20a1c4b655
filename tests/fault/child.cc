#include "child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "catch.h"
#include "host_kernel.h"

namespace allnorm::testing {
namespace {

void close_once(int& fd) {
  if (fd >= 0) ::close(std::exchange(fd, -1));
}

bool is_ours(std::string_view variable) {
  return variable.starts_with("ALLNORM_") || variable.starts_with("XDG_") || variable.starts_with("TMPDIR=");
}

std::vector<std::string> environment_with(const Variables& variables) {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; variable++) {
    if (!is_ours(*variable)) all.emplace_back(*variable);
  }
  for (const auto& [name, value] : variables) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// To the end of the output, or until the time is over.
std::string read_output(int fd, std::chrono::milliseconds limit, bool& ended) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + limit;
  std::string output;
  std::array<char, 4096> buffer{};
  while (!ended) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd waiting = {fd, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    ended = size <= 0;
    if (size > 0) output.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return output;
}

}  // namespace

Gate::Gate() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  read_ = ends[0];
  write_ = ends[1];
}

Gate::~Gate() {
  close_once(read_);
  close_once(write_);
}

void Gate::open() { close_once(write_); }

Child::Child(std::vector<std::string> arguments, const Variables& variables, const Gate& gate) {
  arguments.insert(arguments.begin(), ALLNORM_FAULT_PROCESS);
  std::vector<std::string> environment = environment_with(variables);
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  output_ = ends[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, gate.waiting_end(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int error = ::posix_spawn(&pid_, ALLNORM_FAULT_PROCESS, &actions, nullptr, pointers_to(arguments).data(),
                                  pointers_to(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  REQUIRE(error == 0);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), output_(std::exchange(other.output_, -1)), status_(other.status_) {}

Child::~Child() {
  if (pid_ > 0) {
    kill();
    reap();
  }
  close_once(output_);
}

void Child::kill() const { ::kill(pid_, SIGKILL); }

void Child::reap() {
  while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Child::End Child::wait(std::chrono::milliseconds limit) {
  bool ended = false;
  const std::string output = read_output(output_, limit, ended);
  if (!ended) {
    UNSCOPED_INFO("a process was late");
    kill();
  }
  reap();
  End end;
  end.well = WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
  end.killed = WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL;
  if (!end.well) return end;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) end.digests.push_back(line);
  if (end.digests.empty()) return end;
  end.compiled = std::atoi(end.digests.back().c_str());
  end.digests.pop_back();
  return end;
}

Child::End run_child(const std::vector<std::string>& arguments, const Variables& variables,
                     std::chrono::milliseconds limit) {
  Gate gate;
  Child child(arguments, variables, gate);
  gate.open();
  return child.wait(limit);
}

Variables stub_variables(const cache::test::Folder& folder, int milliseconds) {
  std::filesystem::create_directories(folder / "tmp");
  // Who kills its sleep ends it.
  const std::string compiler =
      make_program(folder / "compiler", fmt::format("echo \"$1\" >> '{0}/count'\n"
                                                    "sleep {1}.{2:03} & echo $! >> '{0}/sleeping'\n"
                                                    "wait\n"
                                                    "cat \"$1\" > kernel.so",
                                                    folder.path(), milliseconds / 1000, milliseconds % 1000));
  return {{"ALLNORM_CACHE_DIR", folder / "cache"},
          {"ALLNORM_CXX", compiler},
          {"ALLNORM_LOG", "error"},
          {"ALLNORM_NVRTC", ALLNORM_STUB_NVRTC},
          {"ALLNORM_STUB_COUNT", folder / "count"},
          {"ALLNORM_STUB_MS", std::to_string(milliseconds)},
          {"TMPDIR", folder / "tmp"}};
}

std::map<std::string, int> counted(const cache::test::Folder& folder) {
  std::map<std::string, int> counts;
  std::ifstream file(folder / "count");
  for (std::string name; std::getline(file, name);) counts[name]++;
  return counts;
}

}  // namespace allnorm::testing
