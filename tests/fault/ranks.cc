#include "ranks.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iterator>

#include "comm/unix_socket.h"

namespace allnorm::testing {
namespace {

using std::chrono::steady_clock;

struct Report {
  double seconds;
  int open_files;
  std::size_t text_bytes;
};

int count_open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<int>(std::distance(begin(files), end(files)));
}

[[noreturn]] void be_rank(int rank, int output, const std::function<std::string(int)>& work) {
  Report report{0.0, count_open_files(), 0};
  const auto begin = steady_clock::now();
  std::string text;
  try {
    text = work(rank);
  } catch (const std::exception& error) {
    text = std::string("error: ") + error.what();
  }
  report.seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
  report.open_files = count_open_files() - report.open_files;
  report.text_bytes = text.size();
  std::string bytes(reinterpret_cast<const char*>(&report), sizeof(report));
  bytes += text;
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::write(output, bytes.data() + done, bytes.size() - done);
    if (count <= 0) ::_exit(1);
    done += static_cast<std::size_t>(count);
  }
  ::_exit(0);
}

/// Not until the end of the file: ranks of another run may have the pipe's other end, too.
std::string read_all(int input, steady_clock::time_point deadline) {
  std::string bytes;
  char part[4096];
  for (;;) {
    if (Report report{}; bytes.size() >= sizeof(report)) {
      std::memcpy(&report, bytes.data(), sizeof(report));
      if (bytes.size() >= sizeof(report) + report.text_bytes) return bytes;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    pollfd entry{input, POLLIN, 0};
    if (left <= 0 || ::poll(&entry, 1, static_cast<int>(left)) <= 0) return bytes;
    const ssize_t count = ::read(input, part, sizeof(part));
    if (count <= 0) return bytes;
    bytes.append(part, static_cast<std::size_t>(count));
  }
}

}  // namespace

std::vector<RankOutcome> run_ranks(int world_size, const std::function<std::string(int rank)>& work,
                                   std::chrono::milliseconds limit) {
  std::vector<pid_t> processes;
  std::vector<Descriptor> inputs;
  for (int rank = 0; rank < world_size; rank++) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    Descriptor input(ends[0]);
    const Descriptor output(ends[1]);
    const pid_t process = ::fork();
    if (process == 0) {
      inputs.clear();
      input = Descriptor();
      be_rank(rank, output.get(), work);
    }
    processes.push_back(process);
    inputs.push_back(std::move(input));
  }
  std::vector<RankOutcome> outcomes;
  const auto deadline = steady_clock::now() + limit;
  for (std::size_t rank = 0; rank < processes.size(); rank++) {
    const std::string bytes = read_all(inputs[rank].get(), deadline);
    ::kill(processes[rank], SIGCONT);
    ::kill(processes[rank], SIGKILL);
    ::waitpid(processes[rank], nullptr, 0);
    RankOutcome outcome{false, "", 0.0, -1000};
    if (Report report{}; bytes.size() >= sizeof(report)) {
      std::memcpy(&report, bytes.data(), sizeof(report));
      outcome = {true, bytes.substr(sizeof(report)), report.seconds, report.open_files};
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace allnorm::testing
