// Under mpirun: every rank runs the same tests with the same outcomes, rank 0 says so.
#define CATCH_CONFIG_RUNNER
#include <mpi.h>

#include <cstdio>

#include "allnorm/bootstrap_mpi.h"
#include "allnorm/error.h"
#include "catch.h"
#include "mpi_ranks.h"

int main(int argc, char** argv) {
  using allnorm::testing::kRanks;
  try {
    allnorm::meet_over_mpi(MPI_COMM_WORLD);
  } catch (const allnorm::Error& error) {
    allnorm::testing::said_before_init = error.what();
  }
  int level = 0;
  int rank = 0;
  int ranks = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = 1;
  if (level != MPI_THREAD_FUNNELED || ranks != kRanks) {
    std::fprintf(stderr, "%d ranks with thread level %d; the tests need %d with MPI_THREAD_FUNNELED\n", ranks, level,
                 kRanks);
  } else if (rank == 0 || std::freopen("/dev/null", "w", stdout) != nullptr) {
    failed = Catch::Session().run(argc, argv);
  }
  MPI_Finalize();
  return failed;
}
