// Which rank a launcher has made of a process, read from the environment.
#include <map>
#include <string>

#include "allnorm/error.h"
#include "catch.h"
#include "env/launched_rank.h"
#include "error_of.h"

namespace allnorm {
using testing::error_of;
namespace {

std::optional<LaunchedRank> launched(const std::map<std::string, std::string>& variables) {
  return launched_rank(
      [&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      77);
}

}  // namespace

TEST_CASE("torchrun, Open MPI and MPICH say which rank of how many a process is") {
  const auto torchrun = launched({{"RANK", "1"},
                                  {"WORLD_SIZE", "4"},
                                  {"LOCAL_WORLD_SIZE", "2"},
                                  {"MASTER_PORT", "29500"},
                                  {"TORCHELASTIC_RESTART_COUNT", "3"}});
  REQUIRE(torchrun);
  CHECK(torchrun->launcher == "torchrun");
  CHECK(torchrun->rank == 1);
  CHECK(torchrun->world_size == 4);
  CHECK(torchrun->ranks_on_host == 2);
  CHECK(torchrun->session == "job_29500_3");

  const auto open_mpi = launched({{"OMPI_COMM_WORLD_RANK", "3"},
                                  {"OMPI_COMM_WORLD_SIZE", "4"},
                                  {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                                  {"PMIX_NAMESPACE", "prterun-host@1/x"},
                                  {"RANK", "0"},
                                  {"WORLD_SIZE", "1"}});
  REQUIRE(open_mpi);
  CHECK(open_mpi->launcher == "Open MPI");
  CHECK(open_mpi->rank == 3);
  CHECK(open_mpi->ranks_on_host == 4);
  CHECK(open_mpi->session == "job_prterun-host-1-x_");

  const auto mpich = launched({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}});
  REQUIRE(mpich);
  CHECK(mpich->launcher == "MPICH");
  CHECK(mpich->ranks_on_host == 2);
  CHECK(mpich->session == "job_77_");
}

TEST_CASE("a process that nobody launched is no rank, and half of what a launcher says is nothing") {
  CHECK(!launched({}));
  CHECK(!launched({{"RANK", "0"}}));
  CHECK(!launched({{"WORLD_SIZE", "2"}}));
  CHECK(!launched({{"RANK", ""}, {"WORLD_SIZE", "2"}}));
}

TEST_CASE("ranks that make no sense are refused by the variable's name") {
  const auto refused = [](const std::map<std::string, std::string>& variables) {
    return error_of(ErrorCode::kInvalidEnvironment, [&] { launched(variables); });
  };
  CHECK(refused({{"RANK", "2"}, {"WORLD_SIZE", "2"}}) == "RANK=\"2\" is not allowed: it must be a number from 0 to 1");
  CHECK(refused({{"RANK", "0"}, {"WORLD_SIZE", "0"}}) ==
        "WORLD_SIZE=\"0\" is not allowed: it must be a number from 1 to 1000000");
  CHECK(refused({{"PMI_RANK", "1x"}, {"PMI_SIZE", "2"}}) ==
        "PMI_RANK=\"1x\" is not allowed: it must be a number from 0 to 1");
  CHECK(refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"LOCAL_WORLD_SIZE", "3"}}) ==
        "LOCAL_WORLD_SIZE=\"3\" is not allowed: it must be a number from 1 to 2");
}

TEST_CASE("torchrun that an MPI has started is torchrun") {
  const auto both = launched({{"OMPI_COMM_WORLD_RANK", "0"},
                              {"OMPI_COMM_WORLD_SIZE", "1"},
                              {"PMI_RANK", "0"},
                              {"PMI_SIZE", "1"},
                              {"TORCHELASTIC_RUN_ID", "none"},
                              {"RANK", "5"},
                              {"WORLD_SIZE", "8"}});
  REQUIRE(both);
  CHECK(both->launcher == "torchrun");
  CHECK(both->rank == 5);
}

TEST_CASE("a session's name stays short") {
  const auto launched_long = launched(
      {{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"PMIX_NAMESPACE", std::string(100, 'n') + "1"}});
  REQUIRE(launched_long);
  CHECK(launched_long->session == std::string(46, 'n') + "1_");
}

}  // namespace allnorm
