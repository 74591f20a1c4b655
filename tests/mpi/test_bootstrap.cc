// Bootstrap over MPI: gathers, groups, and what each rank says when one is late, stands still or fails.
#include <fmt/format.h>
#include <mpi.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "allnorm/bootstrap_mpi.h"
#include "allnorm/error.h"
#include "catch.h"
#include "mpi_ranks.h"

namespace allnorm {
namespace {

using namespace std::chrono_literals;
using testing::before_send;
using testing::kRanks;
using testing::MpiOutcome;
using testing::on_all_ranks;

/// Where a rank is late the others wait for as long. A quarter of it is enough for those who are there, on a busy
/// machine as well.
constexpr double kTimeoutSeconds = 2.0;

/// A communicator for as long as the object lives; MPI_COMM_NULL where this rank has none.
class Communicator {
 public:
  /// Of the ranks that give the same color (MPI_UNDEFINED: none), in the order of their keys.
  Communicator(int color, int key) { MPI_Comm_split(MPI_COMM_WORLD, color, key, &communicator_); }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  ~Communicator() { free(); }
  void free() {
    if (communicator_ != MPI_COMM_NULL) MPI_Comm_free(&communicator_);
  }
  MPI_Comm get() const { return communicator_; }

 private:
  MPI_Comm communicator_ = MPI_COMM_NULL;
};

/// Gathers a text that tells who has given it.
std::string who_is_there(Bootstrap& bootstrap, int process) {
  std::string all;
  for (const std::string& one : bootstrap.all_gather(std::string(static_cast<std::size_t>(process), 'x'))) {
    all += fmt::format("{}", one.size());
  }
  return all;
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.code()), error.what());
  }
  return "no error";
}

}  // namespace

TEST_CASE("MPI: gathers give each rank's bytes by rank, whatever their length") {
  const auto outcomes = on_all_ranks([](int rank) {
    const auto bootstrap = meet_over_mpi(MPI_COMM_WORLD);
    std::string all = fmt::format("{} of {}:", bootstrap->rank(), bootstrap->world_size());
    for (const std::size_t most : {std::size_t{0}, std::size_t{1}, Bootstrap::kMaxBytes}) {
      const auto gathered =
          bootstrap->all_gather(std::string(most * static_cast<std::size_t>(rank) / 3, static_cast<char>('a' + rank)));
      for (const std::string& one : gathered) {
        all += fmt::format(" {}{}", one.size(), one.substr(0, 1));
        if (one.find_first_not_of(one.substr(0, 1)) != std::string::npos) all += "?";
      }
    }
    return all;
  });
  for (int rank = 0; rank < kRanks; rank++) {
    CHECK(outcomes[static_cast<std::size_t>(rank)].text ==
          fmt::format("{} of 4: 0 0 0 0 0 0 0 1d 0 349525b 699050c 1048576d", rank));
  }
}

TEST_CASE("MPI: a rank that gives too much is named on all ranks alike, and the group goes on") {
  const auto outcomes = on_all_ranks([](int rank) {
    const auto bootstrap = meet_over_mpi(MPI_COMM_WORLD);
    const std::string much(Bootstrap::kMaxBytes + (rank == 2 ? 1 : 0), 'x');
    return error_of([&] { bootstrap->all_gather(much); }) + "; " + who_is_there(*bootstrap, rank);
  });
  for (const MpiOutcome& outcome : outcomes) {
    CHECK(outcome.text == "invalid argument: all_gather: rank 2 gave 1048577 bytes, allowed: at most 1048576; 0123");
  }
}

TEST_CASE("MPI: nobody leaves a barrier before everybody has come") {
  const auto outcomes = on_all_ranks([](int rank) {
    const auto bootstrap = meet_over_mpi(MPI_COMM_WORLD);
    if (rank == 3) std::this_thread::sleep_for(300ms);
    bootstrap->barrier();
    return std::string("well");
  });
  for (const MpiOutcome& outcome : outcomes) {
    CHECK(outcome.text == "well");
    CHECK(outcome.seconds >= 0.3);
  }
}

TEST_CASE("MPI: any subset of ranks can be a group, in any order, and groups may overlap") {
  const auto outcomes = on_all_ranks([](int rank) {
    const Communicator rows(rank / 2, rank);
    const Communicator columns(rank % 2, -rank);
    const Communicator last_three(rank == 0 ? MPI_UNDEFINED : 0, rank);
    const Communicator alone(rank, 0);
    const auto row = meet_over_mpi(rows.get());
    const auto column = meet_over_mpi(columns.get());
    std::string all;
    for (int i = 0; i < 100; i++) {
      const std::string both = who_is_there(*row, rank) + " " + who_is_there(*column, rank);
      if (both != all) all += both;
    }
    all += " " + (rank == 0 ? error_of([&] { meet_over_mpi(last_three.get()); })
                            : who_is_there(*meet_over_mpi(last_three.get()), rank));
    return all + " " + who_is_there(*meet_over_mpi(alone.get()), rank);
  });
  CHECK(outcomes[0].text ==
        "01 20 invalid argument: communicator: MPI_COMM_NULL given, allowed: a communicator of this rank 0");
  CHECK(outcomes[1].text == "01 31 123 1");
  CHECK(outcomes[2].text == "23 20 123 2");
  CHECK(outcomes[3].text == "23 31 123 3");
}

TEST_CASE("MPI: the group never meets the program's own messages, and outlives the communicator that was given") {
  const auto outcomes = on_all_ranks([](int rank) {
    Communicator given(0, rank);
    int word = -1;
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Irecv(&word, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, given.get(), &request);
    const auto bootstrap = meet_over_mpi(given.get());
    std::string all = who_is_there(*bootstrap, rank);
    MPI_Send(&rank, 1, MPI_INT, (rank + 1) % kRanks, 7, given.get());
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    given.free();
    return all + fmt::format(" {} ", word) + who_is_there(*bootstrap, rank);
  });
  CHECK(outcomes[0].text == "0123 3 0123");
  CHECK(outcomes[3].text == "0123 2 0123");
}

TEST_CASE("MPI: a rank that is late for a gather is named in time, fails soon as well, and so does all that follows") {
  const auto outcomes = on_all_ranks([](int rank) {
    const auto bootstrap = meet_over_mpi(MPI_COMM_WORLD, kTimeoutSeconds);
    if (rank == 2) std::this_thread::sleep_for(2600ms);
    const auto first = error_of([&] { bootstrap->barrier(); });
    const auto begin = std::chrono::steady_clock::now();
    const auto second = error_of([&] { bootstrap->all_gather("x"); });
    const bool at_once = std::chrono::steady_clock::now() - begin < 100ms;
    return first + (second == first ? ", again" : ", then " + second) + (at_once ? ", at once" : "");
  });
  for (const int rank : {0, 1, 3}) {
    CHECK(outcomes[static_cast<std::size_t>(rank)].text == "peer: rank 2 said nothing for 2000 ms, again, at once");
    CHECK(outcomes[static_cast<std::size_t>(rank)].seconds < 1.25 * kTimeoutSeconds + 1);
  }
  CHECK(outcomes[2].text == "peer: rank 0, rank 1, rank 3 said nothing for 500 ms, again, at once");
  CHECK(outcomes[2].seconds < 2.6 + 1.25 * kTimeoutSeconds + 1);
}

TEST_CASE("MPI: a group that a rank does not come to in time fails for all, and those who came can have another") {
  const auto outcomes = on_all_ranks([](int rank) {
    const Communicator who_come(rank == 3 ? 1 : 0, rank);
    MPI_Comm everybody = MPI_COMM_NULL;  // never freed: something stays pending in it
    MPI_Comm_dup(MPI_COMM_WORLD, &everybody);
    if (rank == 3) std::this_thread::sleep_for(4s);  // the others have their own group before
    const auto said = error_of([&] { meet_over_mpi(everybody, kTimeoutSeconds); });
    return said + "; " + who_is_there(*meet_over_mpi(who_come.get()), rank);
  });
  for (int rank = 0; rank < 3; rank++) {
    CHECK(outcomes[static_cast<std::size_t>(rank)].text ==
          fmt::format("peer: not all of the communicator's 4 ranks came within 2000 ms; MPI does not tell which (this "
                      "is rank {}); 012",
                      rank));
    CHECK(outcomes[static_cast<std::size_t>(rank)].seconds < 1.25 * kTimeoutSeconds + 1);
  }
  CHECK(outcomes[3].text.starts_with("peer: not all of the communicator's 4 ranks "));
  CHECK(outcomes[3].text.ends_with("(this is rank 3); 3"));
}

TEST_CASE("MPI: a rank that stands still between sizes and bytes is named, and has no more than a last success") {
  for (const std::size_t bytes : {std::size_t{1}, Bootstrap::kMaxBytes}) {
    const auto outcomes = on_all_ranks([&](int rank) {
      const auto bootstrap = meet_over_mpi(MPI_COMM_WORLD, kTimeoutSeconds);
      if (rank == 1) {
        before_send = [&](int count, int&) {
          if (static_cast<std::size_t>(count) == bytes) {
            before_send = nullptr;
            std::this_thread::sleep_for(1200ms);
          }
        };
      }
      const auto first = error_of([&] { bootstrap->all_gather(std::string(bytes, 'x')); });
      return first + ", " + (rank == 1 ? error_of([&] { bootstrap->barrier(); }) : "");
    });
    for (const int rank : {0, 2, 3}) {
      CHECK(outcomes[static_cast<std::size_t>(rank)].text == "peer: rank 1 said nothing for 500 ms, ");
    }
    INFO(outcomes[1].text);
    CHECK(outcomes[1].text.ends_with("said nothing for " + std::string(bytes == 1 ? "2000 ms" : "500 ms")));
    CHECK(outcomes[1].text.starts_with("no error") == (bytes == 1));
  }
}

TEST_CASE("MPI: what MPI says of an error is what the rank says, and the group is of no more use") {
  const auto outcomes = on_all_ranks([](int rank) {
    const auto bootstrap = meet_over_mpi(MPI_COMM_WORLD, kTimeoutSeconds);
    if (rank == 0) before_send = [](int, int& to) { to = kRanks; };
    const auto first = error_of([&] { bootstrap->barrier(); });
    before_send = nullptr;
    return first + (error_of([&] { bootstrap->barrier(); }) == first ? ", again" : "");
  });
  CHECK(outcomes[0].text.starts_with("peer: MPI_Isend: "));
  CHECK(outcomes[0].text.find("rank") != std::string::npos);
  CHECK(outcomes[0].text.ends_with(", again"));
  for (int rank = 1; rank < kRanks; rank++) {
    CHECK(outcomes[static_cast<std::size_t>(rank)].text == "peer: rank 0 said nothing for 2000 ms, again");
  }
}

TEST_CASE("MPI: what cannot be a group is refused by name") {
  CHECK(testing::said_before_init ==
        "MPI: it is not initialized, or finalized already; allowed: between MPI_Init_thread and MPI_Finalize");
  const auto outcomes = on_all_ranks([](int rank) {
    std::string all = error_of([] { meet_over_mpi(MPI_COMM_WORLD, 0); });
    const Communicator half(rank % 2, rank);
    MPI_Comm between = MPI_COMM_NULL;
    MPI_Intercomm_create(half.get(), 0, MPI_COMM_WORLD, 1 - rank % 2, 0, &between);
    all += "; " + error_of([&] { meet_over_mpi(between); });
    MPI_Comm_free(&between);
    std::thread([&] { all += "; " + error_of([] { meet_over_mpi(MPI_COMM_WORLD); }); }).join();
    return all;
  });
  for (const MpiOutcome& outcome : outcomes) {
    CHECK(outcome.text ==
          "invalid argument: timeout_seconds: 0.000000 given, allowed: 0.001 to 86400; invalid argument: communicator: "
          "an inter-communicator given, allowed: one group of ranks; invalid argument: MPI: called by a thread that is "
          "not the main one; allowed with MPI_THREAD_FUNNELED: the main thread alone");
  }
}

}  // namespace allnorm
