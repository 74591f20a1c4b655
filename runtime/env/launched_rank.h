// LaunchedRank: which rank of how many a launcher has made this process, as its environment says.
//
// Thread safety: stateless.
#ifndef ALLNORM_ENV_LAUNCHED_RANK_H_
#define ALLNORM_ENV_LAUNCHED_RANK_H_

#include <optional>
#include <string>

#include "env/env.h"

namespace allnorm {

struct LaunchedRank {
  std::string launcher;  ///< "torchrun", "Open MPI" or "MPICH".
  int rank = 0;
  int world_size = 1;
  int ranks_on_host = 1;
  std::string session;  ///< The same for all ranks of the job, and no other job's: letters, digits, '.', '_', '-'.
};

/// torchrun: RANK, WORLD_SIZE, LOCAL_WORLD_SIZE. Open MPI: OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_SIZE. MPICH and Intel
/// MPI: PMI_RANK, PMI_SIZE, MPI_LOCALNRANKS. Nothing where no such pair of variables is set. Throws kInvalidEnvironment
/// for what makes no sense. `parent` is the parent process, which stands for the job where the launcher gives it no
/// name.
std::optional<LaunchedRank> launched_rank(const Env::Getter& get, long parent);

}  // namespace allnorm

#endif  // ALLNORM_ENV_LAUNCHED_RANK_H_
