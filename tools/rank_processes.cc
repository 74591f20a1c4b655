#include "rank_processes.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "command.h"

namespace allnorm::tools {
namespace {

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
                                        fmt::format("MASTER_PORT=spawn_{}", ::getpid())};
  for (char** variable = environ; *variable != nullptr; variable++) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('='));
    const bool is_launchers = name.starts_with("OMPI_COMM_WORLD_") || name.starts_with("PMI_");
    const bool is_ours = name == "RANK" || name == "WORLD_SIZE" || name == "LOCAL_WORLD_SIZE" || name == "MASTER_PORT";
    if (!is_launchers && !is_ours) variables.push_back(text);
  }
  return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
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
      for (const pid_t other : ranks) ::kill(other, SIGTERM);
      throw std::runtime_error(
          fmt::format("rank {} cannot be started: {}", rank, std::generic_category().message(error)));
    }
    ranks.push_back(child);
  }
  int worst = kExitOk;
  for (std::size_t rank = 0; rank < ranks.size(); rank++) {
    int status = 0;
    while (::waitpid(ranks[rank], &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status)) {
      worst = std::max(worst, WEXITSTATUS(status));
      continue;
    }
    fmt::print(stderr, "allnorm: rank {} was killed by signal {} ({})\n", rank, WTERMSIG(status),
               ::strsignal(WTERMSIG(status)));
    worst = std::max(worst, kExitUnavailable);
  }
  return worst;
}

}  // namespace allnorm::tools
