#include "worker_pool.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <optional>
#include <stdexcept>
#include <utility>

#include "jit/run_program.h"

namespace allnorm::tools {
namespace {

using Clock = std::chrono::steady_clock;
/// What an interrupted worker may take to finish the kernel that it has.
constexpr std::chrono::milliseconds kGrace{3000};

struct Worker {
  pid_t pid = 0;
  int socket = -1;
  std::optional<std::size_t> job;
  std::string answer;  ///< What has arrived of it.
};

/// 0, or the error number. The worker leads a process group, which its compilers are in as well: Ctrl-C does not reach
/// it, and it can be ended with them.
int spawn(const std::vector<std::string>& arguments, int socket, pid_t& child) {
  std::vector<std::string> texts = {"allnorm"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, socket, STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  const int error = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, pointers_to(texts).data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

std::string describe_status(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("its worker ended with exit status {}", WEXITSTATUS(status));
  return fmt::format("its worker was killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
}

class Crew {
 public:
  Crew(const WorkerPool& pool, std::span<const std::string> jobs) : pool_(pool), jobs_(jobs) {}
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() {
    for (const Worker& worker : workers_) end(worker);
  }

  void run() {
    for (;;) {
      while (!stop_by_ && next_ < jobs_.size() && workers_.size() < pool_.workers && start_one()) {
      }
      if (workers_.empty()) break;
      wait();
      if (stop_by_ && (pool_.interrupt.count() > 1 || Clock::now() >= *stop_by_)) break;
    }
  }

 private:
  bool start_one() {
    std::array<int, 2> ends{};
    int error = 0;
    Worker worker;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      error = errno;
    } else {
      error = spawn(pool_.arguments, ends[1], worker.pid);
      ::close(ends[1]);
      worker.socket = ends[0];
      if (error != 0) ::close(ends[0]);
    }
    if (error != 0) {
      if (workers_.empty()) throw std::runtime_error(fmt::format("no worker can be started: {}", std::strerror(error)));
      return false;
    }
    give_job(workers_.emplace_back(std::move(worker)));
    return true;
  }

  /// A worker without a job is told to end. One that is dead already is noticed when its socket is read.
  void give_job(Worker& worker) {
    if (stop_by_ || next_ == jobs_.size()) {
      ::shutdown(worker.socket, SHUT_WR);
      return;
    }
    worker.job = next_++;
    const std::string line = jobs_[*worker.job] + "\n";
    for (std::size_t sent = 0; sent < line.size();) {
      const ssize_t size = ::send(worker.socket, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return;
      sent += static_cast<std::size_t>(size);
    }
  }

  void stop() {
    stop_by_ = Clock::now() + kGrace;
    for (const Worker& worker : workers_) ::shutdown(worker.socket, SHUT_WR);
  }

  void wait() {
    std::vector<pollfd> descriptors;
    descriptors.reserve(workers_.size());
    for (const Worker& worker : workers_) descriptors.push_back({worker.socket, POLLIN, 0});
    int limit = -1;
    if (stop_by_) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*stop_by_ - Clock::now());
      limit = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    pool_.interrupt.poll(descriptors, limit);
    // Before an answer is read, which would bring the next job.
    if (pool_.interrupt.count() > 0 && !stop_by_) stop();
    std::size_t at = 0;
    for (auto worker = workers_.begin(); worker != workers_.end();) {
      const auto here = worker++;
      if (descriptors[at++].revents != 0) read(here);
    }
  }

  void read(std::list<Worker>::iterator worker) {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(worker->socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size > 0) {
      worker->answer.append(buffer.data(), static_cast<std::size_t>(size));
      const std::size_t end = worker->answer.find('\n');
      if (end == std::string::npos) return;
      const std::string answer = worker->answer.substr(0, end);
      worker->answer.clear();
      const std::optional<std::size_t> job = std::exchange(worker->job, std::nullopt);
      give_job(*worker);
      if (job) pool_.on_answer(*job, answer);
      return;
    }
    const std::optional<std::size_t> lost = worker->job;
    const int status = end(*worker);
    workers_.erase(worker);
    if (lost) pool_.on_death(*lost, describe_status(status));
  }

  /// With all that it has started.
  static int end(const Worker& worker) noexcept {
    ::close(worker.socket);
    ::kill(-worker.pid, SIGKILL);
    int status = 0;
    while (waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  const WorkerPool& pool_;
  std::span<const std::string> jobs_;
  std::size_t next_ = 0;
  std::list<Worker> workers_;
  std::optional<Clock::time_point> stop_by_;
};

}  // namespace

void WorkerPool::run(std::span<const std::string> jobs) const { Crew(*this, jobs).run(); }

}  // namespace allnorm::tools
