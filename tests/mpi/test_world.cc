// Worlds over MPI's ranks, with the stub of the driver. Descriptors go over the library's own Unix sockets: each rank
// has a folder of its own for them, and what MPI carries is their names.
#include <fmt/format.h>
#include <mpi.h>

#include <functional>
#include <string>
#include <vector>

#include "allnorm/bootstrap_mpi.h"
#include "allnorm/workspace.h"
#include "cache_fixture.h"
#include "catch.h"
#include "environment.h"
#include "mpi_ranks.h"
#include "rank_worlds.h"

namespace allnorm {
namespace {

using cache::test::Folder;
using testing::kRanks;
using testing::MpiOutcome;
using testing::on_all_ranks;
using testing::small_world;
using testing::use_stub;
using testing::Variable;
using testing::visit_all;
using testing::with_leaks;

/// With the stub, whose GPUs must be empty when the work is over, as must be the folder for sockets.
std::vector<MpiOutcome> on_stubs(const std::function<std::string(int rank)>& work) {
  return on_all_ranks([&](int rank) {
    const Folder folder;
    const Variable temporary("TMPDIR", nullptr);  // use_stub() sets it
    use_stub(folder);
    std::string text = with_leaks([&] { return work(rank); });
    if (cache::test::count_files(folder.path()) != 0) text += " (files are left)";
    return text;
  });
}

}  // namespace

TEST_CASE("MPI: ranks have each other's memory, by descriptor and by fabric handle, suspend it and reset it together") {
  for (const char* fabric : {"0", "1"}) {
    const auto outcomes = on_stubs([&](int rank) {
      const Variable of_stub("ALLNORM_STUB_FABRIC", fabric);
      const auto bootstrap = meet_over_mpi(MPI_COMM_WORLD);
      Context context({.device = "cuda"});
      World world(context, *bootstrap, rank, small_world());
      std::string all = visit_all(*bootstrap, world);
      bootstrap->barrier();
      world.suspend();
      world.resume();
      all += " " + visit_all(*bootstrap, world);
      bootstrap->barrier();
      world.reset();
      return all;
    });
    for (const MpiOutcome& outcome : outcomes) CHECK(outcome.text == "ABCD ABCD");
  }
}

TEST_CASE("MPI: a process has worlds with different neighbours at a time") {
  const auto outcomes = on_stubs([](int rank) {
    MPI_Comm rows = MPI_COMM_NULL;
    MPI_Comm columns = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, rank / 2, rank, &rows);
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &columns);
    const auto row = meet_over_mpi(rows);
    const auto column = meet_over_mpi(columns);
    MPI_Comm_free(&rows);
    MPI_Comm_free(&columns);
    Context context({.device = "cuda"});
    std::string all;
    for (int i = 0; i < 20; i++) {
      World of_row(context, *row, rank, small_world());
      World of_column(context, *column, rank, small_world());
      const std::string both = visit_all(*row, of_row) + visit_all(*column, of_column);
      if (both != all) all += both;
      row->barrier();
      column->barrier();
    }
    return all;
  });
  for (const MpiOutcome& outcome : outcomes) CHECK(outcome.text == "ABAB");
}

TEST_CASE("MPI: a call of the driver that fails on one rank fails on all with the same words, and leaves nothing") {
  for (int bad = 0; bad < kRanks; bad++) {
    const auto outcomes = on_stubs([&](int rank) {
      const Variable of_stub("ALLNORM_STUB_FAIL", rank == bad ? "cuMemMap:*" : nullptr);
      const auto bootstrap = meet_over_mpi(MPI_COMM_WORLD);
      Context context({.device = "cuda"});
      const World world(context, *bootstrap, rank, small_world());
      return std::string("made");
    });
    for (const MpiOutcome& outcome : outcomes) {
      CHECK(outcome.text.starts_with(fmt::format("error: rank {} could not ", bad)));
      CHECK(outcome.text == outcomes[0].text);
      CHECK(outcome.text.find("left") == std::string::npos);
    }
  }
}

}  // namespace allnorm
