// Ranks that mpirun has started: all run the same test cases, and all know how each of them fared.
#ifndef ALLNORM_TESTS_MPI_MPI_RANKS_H_
#define ALLNORM_TESTS_MPI_MPI_RANKS_H_

#include <functional>
#include <string>
#include <vector>

namespace allnorm::testing {

/// As many as the tests are written for.
inline constexpr int kRanks = 4;

struct MpiOutcome {
  std::string text;  ///< What its work returned, or "error: " and what it threw.
  double seconds = 0.0;
};

/// By rank of MPI_COMM_WORLD, the same on all ranks; all begin together.
std::vector<MpiOutcome> on_all_ranks(const std::function<std::string(int rank)>& work);

/// What meet_over_mpi() said before MPI_Init_thread().
extern std::string said_before_init;

/// Called before each message that MPI_Isend sends, with its bytes and to whom, which it may change.
extern std::function<void(int bytes, int& to)> before_send;

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_MPI_MPI_RANKS_H_
