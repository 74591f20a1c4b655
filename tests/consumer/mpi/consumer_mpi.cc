// A user's program with MPI: its ranks meet, and one of them says who is there.
#include <allnorm/bootstrap_mpi.h>
#include <allnorm/error.h>

#include <cstdio>
#include <string>

int main(int argc, char** argv) try {
  int level = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  {
    const auto bootstrap = allnorm::meet_over_mpi(MPI_COMM_WORLD);
    std::string all;
    for (const std::string& one : bootstrap->all_gather(std::to_string(bootstrap->rank()))) all += " " + one;
    if (bootstrap->rank() == 0) std::printf("ranks%s of %d\n", all.c_str(), bootstrap->world_size());
  }
  try {
    allnorm::meet_over_mpi(MPI_COMM_NULL);
    return 1;
  } catch (const allnorm::Error& error) {
    if (error.code() != allnorm::ErrorCode::kInvalidArgument) return 1;
  }
  MPI_Finalize();
} catch (const allnorm::Error& error) {
  std::printf("%s: %s\n", allnorm::to_string(error.code()), error.what());
  return 1;
}
