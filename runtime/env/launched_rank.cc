#include "env/launched_rank.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

#include "allnorm/error.h"

namespace allnorm {
namespace {

struct Launcher {
  const char* name;
  const char* rank;
  const char* world_size;
  const char* ranks_on_host;
  const char* job;  ///< Together they name the job: null, or a variable.
  const char* restart;
};

// The MPIs first: an MPI program may well have set RANK for torch.distributed itself. But torchrun under an MPI sets
// TORCHELASTIC_RUN_ID, and each of its processes inherits the MPI's variables, which are torchrun's own.
constexpr Launcher kLaunchers[] = {
    {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE",
     nullptr},
    {"MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", nullptr, nullptr},
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT"},
};

std::string text(const Env::Getter& get, const char* name) {
  const char* value = name == nullptr ? nullptr : get(name);
  return value == nullptr ? std::string() : std::string(value);
}

int number(const Env::Getter& get, const char* name, int least, int most) {
  const std::string value = text(get, name);
  int result = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || stop != value.data() + value.size() || result < least || result > most) {
    throw Error(ErrorCode::kInvalidEnvironment,
                fmt::format("{}=\"{}\" is not allowed: it must be a number from {} to {}", name, value, least, most));
  }
  return result;
}

/// For a file's name.
std::string as_session(std::string name) {
  constexpr std::size_t kMostCharacters = 48;  // a socket's path is short
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') c = '-';
  }
  return name.size() <= kMostCharacters ? name : name.substr(name.size() - kMostCharacters);
}

}  // namespace

std::optional<LaunchedRank> launched_rank(const Env::Getter& get, long parent) {
  const bool by_torchrun = !text(get, "TORCHELASTIC_RUN_ID").empty();
  for (const Launcher& launcher : kLaunchers) {
    if (by_torchrun && launcher.restart == nullptr) continue;
    if (text(get, launcher.rank).empty() || text(get, launcher.world_size).empty()) continue;
    LaunchedRank launched;
    launched.launcher = launcher.name;
    constexpr int kMostProcesses = 1'000'000;
    launched.world_size = number(get, launcher.world_size, 1, kMostProcesses);
    launched.rank = number(get, launcher.rank, 0, launched.world_size - 1);
    launched.ranks_on_host = launched.world_size;
    if (!text(get, launcher.ranks_on_host).empty()) {
      launched.ranks_on_host = number(get, launcher.ranks_on_host, 1, launched.world_size);
    }
    std::string job = text(get, launcher.job);
    if (job.empty()) job = fmt::format("{}", parent);
    launched.session = as_session(fmt::format("job_{}_{}", job, text(get, launcher.restart)));
    return launched;
  }
  return std::nullopt;
}

}  // namespace allnorm
