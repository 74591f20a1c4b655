// Checked mode: the ranks compare each call on the device before it runs.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <functional>
#include <vector>

#include "allnorm/buffer.h"
#include "api/context_impl.h"
#include "cache_fixture.h"
#include "calls/placement.h"
#include "catch.h"
#include "comm/workspace_impl.h"
#include "error_of.h"
#include "sim/scenario.h"

namespace allnorm::sim_tests {
namespace {

using calls::Case;
using Catch::Matchers::Contains;
using Catch::Matchers::Matches;
using testing::error_of;

const std::string& kernel_cache() {
  static const cache::test::Folder folder;
  return folder.path();
}

Case usual_case(int world_size) {
  Case c;
  c.world_size = world_size;
  c.hidden_dim = 64;
  c.tokens = 4;
  c.quant = Quant::kFp8;
  return c;
}

/// The ranks of a World in checked mode, each of which makes whatever call it is told to.
class Ranks {
 public:
  explicit Ranks(int world_size, bool checked = true, double timeout_seconds = 30, bool on_one_gpu = false)
      : context_({.cache_directory = kernel_cache(), .device = fmt::format("sim:{}", on_one_gpu ? 1 : world_size)}) {
    WorldOptions options;
    for (int rank = 0; rank < world_size; rank++) options.devices.push_back(on_one_gpu ? 0 : rank);
    options.max_row_bytes = 1024;
    options.max_tokens_one_shot = options.max_tokens_two_shot = 8;
    options.checked = checked;
    options.timeout_seconds = timeout_seconds;
    world_ = std::make_unique<World>(context_, options);
    for (const int device : options.devices) streams_.push_back(std::make_unique<OwnedStream>(context_, device));
  }

  World& world() { return *world_; }
  int size() const { return static_cast<int>(streams_.size()); }

  /// `change`: of the arguments, last.
  void call(int rank, const Case& c, const std::function<void(FusedCall&)>& change = {}) {
    calls::Layout layout;
    calls::Placement placement = calls::place_outputs(c, layout);
    calls::place_inputs(c, layout, placement);
    Buffer& memory =
        *memory_.emplace_back(std::make_unique<Buffer>(context_, world_->rank(rank).device(), layout.size() + 1));
    memory.fill(0);
    calls::AnyCall made = calls::make_call(c, placement, static_cast<std::byte*>(memory.data()));
    if (change) change(std::get<FusedCall>(made));
    calls::enqueue(world_->rank(rank), made, streams_[static_cast<std::size_t>(rank)]->get());
  }
  void all_call(const Case& c) {
    for (int rank = 0; rank < size(); rank++) call(rank, c);
  }
  void synchronize() {
    for (const auto& stream : streams_) stream->synchronize();
  }
  WorkspaceStatus status(int rank) { return world_->rank(rank).status(); }
  bool all_healthy() {
    for (int rank = 0; rank < size(); rank++) {
      if (!status(rank).healthy) return false;
    }
    return true;
  }
  sim::Machine& machine() { return *context_.impl().machine(); }
  sim::Stream* stream(int rank) { return static_cast<sim::Stream*>(streams_[static_cast<std::size_t>(rank)]->get()); }

 private:
  Context context_;
  std::unique_ptr<World> world_;
  std::vector<std::unique_ptr<OwnedStream>> streams_;
  std::vector<std::unique_ptr<Buffer>> memory_;
};

/// Of a World where `odd` makes another call than the others, after some that agree: the same on all ranks.
std::string message_of(Ranks& ranks, int odd, const std::function<void(Case&)>& change) {
  ranks.world().reset();
  const Case usual = usual_case(ranks.size());
  for (int i = 0; i < 3; i++) ranks.all_call(usual);
  Case other = usual;
  change(other);
  for (int rank = 0; rank < ranks.size(); rank++) ranks.call(rank, rank == odd ? other : usual);
  ranks.synchronize();
  const std::string message = ranks.status(0).message;
  for (int rank = 0; rank < ranks.size(); rank++) {
    const WorkspaceStatus status = ranks.status(rank);
    CHECK_FALSE(status.healthy);
    CHECK(status.code == ErrorCode::kMismatch);
    CHECK(status.phase == "comparison");
    CHECK(status.epoch == 3);
    CHECK(status.message == message);
    CHECK(status.rank < status.waited_for);
    CHECK((status.rank == odd || status.waited_for == odd));
  }
  return message;
}

TEST_CASE("in checked mode calls that agree give the reference's bytes, whatever the order of things") {
  for (const bool multicast : {false, true}) {
    Scenario scenario = standard_scenario();
    scenario.checked = true;
    scenario.multicast = multicast;
    Simulation simulation(scenario, {.mutation = {}, .cache_directory = kernel_cache()});
    for (std::uint64_t seed = 1; seed <= 100; seed++) {
      sim::Schedule schedule;
      schedule.seed = seed;
      INFO("seed " << seed);
      CHECK(simulation.run(schedule) == "");
    }
  }
}

TEST_CASE("each part of a call that differs on a rank is named on all of them, with both values") {
  for (const int world_size : {2, 3, 8}) {
    Ranks ranks(world_size);
    for (const int odd : {0, world_size - 1}) {
      INFO("world of " << world_size << ", rank " << odd << " differs");
      // With whom it is compared first depends on who comes when.
      const auto expected = [&](const std::string& usual, const std::string& other) {
        const std::string of_odd = fmt::format("rank {} has {}", odd, other);
        const std::string of_others = fmt::format("rank [0-9] has {}", usual);
        return Matches(
            fmt::format("the ranks' calls differ: in call 4 \\(counted from 1\\) {}; {}\\. Outputs since then.*",
                        odd == 0 ? of_odd : of_others, odd == 0 ? of_others : of_odd));
      };
      CHECK_THAT(message_of(ranks, odd, [](Case& c) { c.tokens = 5; }), expected("tokens 4", "tokens 5"));
      CHECK_THAT(message_of(ranks, odd, [](Case& c) { c.hidden_dim = 128; }),
                 expected("hidden_dim 64", "hidden_dim 128"));
      CHECK_THAT(message_of(ranks, odd, [](Case& c) { c.dtype = c.gamma_dtype = DataType::kF16; }),
                 expected("dtype bf16", "dtype f16"));
      CHECK_THAT(message_of(ranks, odd, [](Case& c) { c.quant = Quant::kDynamicFp8; }),
                 expected("quant fp8", "quant dynamic_fp8"));
      CHECK_THAT(message_of(ranks, odd, [](Case& c) { c.strategy = Strategy::kTwoShot; }),
                 expected("strategy one_shot", "strategy two_shot"));
      CHECK_THAT(message_of(ranks, odd,
                            [](Case& c) {
                              c.allreduce_only = true;
                              c.quant = Quant::kNone;
                            }),
                 expected("operation fused, quant fp8", "operation all_reduce, quant none"));
      CHECK_THAT(message_of(ranks, odd, [](Case& c) { c.tokens = 0; }),
                 expected("tokens 4, strategy one_shot", "tokens 0, strategy none"));
    }
    ranks.world().reset();
    ranks.all_call(usual_case(world_size));
    ranks.synchronize();
    for (int rank = 0; rank < world_size; rank++) CHECK(ranks.status(rank).healthy);
  }
}

/// On every rank: that one had 4 tokens, and rank 1 these.
void check_tokens_of_rank_1(Ranks& ranks, int tokens, int call) {
  for (int rank = 0; rank < ranks.size(); rank++) {
    INFO("rank " << rank);
    const WorkspaceStatus status = ranks.status(rank);
    CHECK(status.code == ErrorCode::kMismatch);
    CHECK_THAT(status.message, Contains(fmt::format("in call {} (counted from 1) rank", call)));
    CHECK_THAT(status.message, Contains(" has tokens 4"));
    CHECK_THAT(status.message, Contains(fmt::format("rank 1 has tokens {}", tokens)));
  }
}

TEST_CASE("the values of a difference stay, whatever calls are queued behind it") {
  for (const int world_size : {2, 3}) {
    Ranks ranks(world_size);
    Case other = usual_case(world_size);
    other.tokens = 5;
    ranks.all_call(usual_case(world_size));
    for (int rank = 0; rank < world_size; rank++) ranks.call(rank, rank == 1 ? other : usual_case(world_size));
    for (int i = 0; i < 4; i++) ranks.all_call(usual_case(world_size));
    ranks.synchronize();
    check_tokens_of_rank_1(ranks, 5, 2);

    // The same calls once more, as a graph: all kernels are there already.
    ranks.world().reset();
    std::vector<sim::Graph> graphs;
    for (int rank = 0; rank < world_size; rank++) {
      ranks.machine().begin_capture(ranks.stream(rank));
      for (int i = 0; i < 20; i++) ranks.call(rank, rank == 1 && i == 7 ? other : usual_case(world_size));
      graphs.push_back(ranks.machine().end_capture(ranks.stream(rank)));
    }
    for (int rank = 0; rank < world_size; rank++) {
      ranks.machine().launch(ranks.stream(rank), graphs[static_cast<std::size_t>(rank)]);
    }
    ranks.synchronize();
    check_tokens_of_rank_1(ranks, 5, 8);
  }
}

void misalign(FusedCall& call) { call.input.data = static_cast<std::byte*>(call.input.data) + 2; }
void overlap(FusedCall& call) { call.quant_out.data = call.input.data; }
// In the lower 32 bits, as many as the others have.
void add_four_gigarows(FusedCall& call) { call.input.rows += std::int64_t{1} << 32; }
void add_four_gigacolumns(FusedCall& call) { call.input.columns += std::int64_t{1} << 32; }
void make_tokens_negative(FusedCall& call) { call.input.rows = -1; }

TEST_CASE("a call that differs, and is refused for it, is a difference") {
  Ranks ranks(3);
  Case other = usual_case(3);
  const auto others_call = [&] {
    for (const int rank : {0, 2}) ranks.call(rank, usual_case(3));
    ranks.synchronize();
  };
  SECTION("more tokens than there is room for") {
    other.tokens = 9;
    CHECK_THAT(error_of(ErrorCode::kCapacity, [&] { ranks.call(1, other); }), Contains("9 tokens were given"));
    others_call();
    check_tokens_of_rank_1(ranks, 9, 1);
  }
  SECTION("so many tokens that tensors overlap") {
    other.tokens = 5;
    error_of(ErrorCode::kInvalidArgument, [&] { ranks.call(1, other, overlap); });
    others_call();
    check_tokens_of_rank_1(ranks, 5, 1);
  }
  const auto call_with_invalid = [&](void (*change)(FusedCall&), const char* part) {
    error_of(ErrorCode::kInvalidArgument, [&] { ranks.call(1, usual_case(3), change); });
    others_call();
    for (int rank = 0; rank < 3; rank++) {
      CHECK(ranks.status(rank).code == ErrorCode::kMismatch);
      CHECK_THAT(ranks.status(rank).message, Contains(fmt::format("rank 1 has {} an invalid number", part)));
    }
  };
  SECTION("more tokens than any call may have") { call_with_invalid(add_four_gigarows, "tokens"); }
  SECTION("fewer tokens than none") { call_with_invalid(make_tokens_negative, "tokens"); }
  SECTION("longer rows than any call may have") { call_with_invalid(add_four_gigacolumns, "hidden_dim"); }
  SECTION("larger rows than there is room for, after the others have called") {
    other.hidden_dim = 1024;
    for (const int rank : {0, 2}) ranks.call(rank, usual_case(3));
    CHECK_THAT(error_of(ErrorCode::kCapacity, [&] { ranks.call(1, other); }), Contains("rows of 2048 bytes"));
    ranks.synchronize();
    for (int rank = 0; rank < 3; rank++) {
      CHECK(ranks.status(rank).code == ErrorCode::kMismatch);
      CHECK_THAT(ranks.status(rank).message, Contains("rank 1 has hidden_dim 1024"));
    }
  }
  SECTION("no kernel for it in a capture, whose graph is launched all the same") {
    other.tokens = 5;
    other.quant = Quant::kDynamicFp8;
    ranks.machine().begin_capture(ranks.stream(1));
    error_of(ErrorCode::kNotPrepared, [&] { ranks.call(1, other); });
    const sim::Graph graph = ranks.machine().end_capture(ranks.stream(1));
    CHECK(graph.launches.size() == 1);
    ranks.machine().launch(ranks.stream(1), graph);
    others_call();
    for (int rank = 0; rank < 3; rank++) {
      CHECK(ranks.status(rank).code == ErrorCode::kMismatch);
      CHECK_THAT(ranks.status(rank).message, Contains("rank 1 has tokens 5, quant dynamic_fp8"));
    }
  }
}

TEST_CASE("a call that all ranks make alike is refused on all, and changes nothing") {
  Ranks ranks(3);
  Case many = usual_case(3);
  many.tokens = 9;
  Case odd = usual_case(3);
  odd.hidden_dim = 24;  // no block of nvfp4
  odd.quant = Quant::kNvfp4;
  odd.strategy = Strategy::kAuto;
  Case chosen = usual_case(3);
  chosen.strategy = Strategy::kAuto;
  for (int i = 0; i < 3; i++) {
    for (int rank = 0; rank < 3; rank++) error_of(ErrorCode::kCapacity, [&] { ranks.call(rank, many); });
    for (int rank = 0; rank < 3; rank++) error_of(ErrorCode::kInvalidArgument, [&] { ranks.call(rank, odd); });
    for (int rank = 0; rank < 3; rank++) {
      error_of(ErrorCode::kInvalidArgument, [&] { ranks.call(rank, chosen, misalign); });
    }
    ranks.all_call(chosen);
  }
  ranks.synchronize();
  CHECK(ranks.all_healthy());
}

TEST_CASE("a call that a rank has refused for reasons of its own can still be made there") {
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kAuto}) {
    Ranks ranks(3);
    Case usual = usual_case(3);
    usual.strategy = strategy;
    ranks.all_call(usual);
    for (int rank = 0; rank < 2; rank++) {
      error_of(ErrorCode::kInvalidArgument, [&] { ranks.call(rank, usual, misalign); });
    }
    ranks.call(2, usual);
    ranks.call(0, usual);
    error_of(ErrorCode::kInvalidArgument, [&] { ranks.call(1, usual, misalign); });
    ranks.call(1, usual);
    for (int i = 0; i < 3; i++) ranks.all_call(usual);
    ranks.synchronize();
    CHECK(ranks.all_healthy());
  }
}

TEST_CASE("a call that a rank has refused for want of room on its GPU can still be made there") {
  Ranks ranks(8, true, 30, true);
  ranks.all_call(usual_case(8));
  ranks.call(0, usual_case(8));
  Workspace::Impl& workspace = ranks.world().rank(1).impl();
  workspace.force_geometry(Geometry{8, 1, 1});  // clusters of which the GPU holds four
  CHECK_THAT(error_of(ErrorCode::kUnsupported, [&] { ranks.call(1, usual_case(8)); }),
             Contains("8 virtual ranks do not fit on GPU 0"));
  workspace.force_geometry({});
  for (int rank = 1; rank < 8; rank++) ranks.call(rank, usual_case(8));
  for (int i = 0; i < 3; i++) ranks.all_call(usual_case(8));
  ranks.synchronize();
  CHECK(ranks.all_healthy());
}

TEST_CASE("a call that a rank has refused, and then does not make, is waited for") {
  Ranks ranks(2);
  ranks.all_call(usual_case(2));
  ranks.call(0, usual_case(2));
  error_of(ErrorCode::kInvalidArgument, [&] { ranks.call(1, usual_case(2), misalign); });
  ranks.synchronize();
  for (int rank = 0; rank < 2; rank++) {
    CHECK(ranks.status(rank).code == ErrorCode::kTimeout);
    CHECK_THAT(ranks.status(rank).message,
               Contains("rank 0 gave up waiting for rank 1 to make call 2 (counted from 1; checked mode)"));
  }
}

TEST_CASE("calls without tokens agree, whatever their strategy") {
  Ranks ranks(3);
  for (int i = 0; i < 3; i++) {
    for (int rank = 0; rank < 3; rank++) {
      Case none = usual_case(3);
      none.tokens = 0;
      none.strategy = rank == 1 ? Strategy::kTwoShot : Strategy::kOneShot;
      ranks.call(rank, none);
    }
  }
  ranks.all_call(usual_case(3));
  ranks.synchronize();
  for (int rank = 0; rank < 3; rank++) CHECK(ranks.status(rank).healthy);
}

TEST_CASE("a rank that makes one call fewer is named, and so is the call") {
  Ranks ranks(3);
  for (int i = 0; i < 2; i++) ranks.all_call(usual_case(3));
  ranks.call(0, usual_case(3));
  ranks.call(2, usual_case(3));
  ranks.synchronize();  // the timeout passes in simulated time
  for (int rank = 0; rank < 3; rank++) {
    const WorkspaceStatus status = ranks.status(rank);
    CHECK(status.code == ErrorCode::kTimeout);
    CHECK(status.waited_for == 1);
    CHECK(status.phase == "comparison");
    CHECK_THAT(status.message, Contains("gave up waiting for rank 1 to make call 3 (counted from 1; checked mode)"));
  }
}

TEST_CASE("after reset() the ranks' calls are counted anew, however many each had made") {
  Ranks ranks(3);
  ranks.all_call(usual_case(3));
  for (int i = 0; i < 3; i++) ranks.call(1, usual_case(3));
  ranks.synchronize();
  CHECK(ranks.status(0).code == ErrorCode::kTimeout);
  ranks.world().reset();
  for (int i = 0; i < 3; i++) ranks.all_call(usual_case(3));
  ranks.synchronize();
  CHECK(ranks.all_healthy());
  Case other = usual_case(3);
  other.tokens = 5;
  for (int rank = 0; rank < 3; rank++) ranks.call(rank, rank == 1 ? other : usual_case(3));
  ranks.synchronize();
  check_tokens_of_rank_1(ranks, 5, 4);
}

TEST_CASE("abort() ends a comparison that waits without a limit") {
  for (const std::uint64_t steps : {10, 30, 60}) {  // past which the simulator calls it a deadlock
    INFO("after " << steps << " steps");
    Ranks ranks(2, true, 0);
    ranks.call(0, usual_case(2));
    CHECK(ranks.machine().run(steps));
    CHECK(ranks.all_healthy());
    ranks.world().rank(steps == 30 ? 0 : 1).abort();
    ranks.synchronize();
    for (int rank = 0; rank < 2; rank++) CHECK(ranks.status(rank).code == ErrorCode::kAborted);
    ranks.world().reset();
    ranks.all_call(usual_case(2));
    ranks.synchronize();
    CHECK(ranks.all_healthy());
  }
}

/// As it lies in rank 0's memory, with the words of the mask not there yet.
WorkspaceStatus status_without(Ranks& ranks, const allnorm_kernel::Report& report, unsigned missing) {
  std::array<std::uint32_t, sizeof(report) / 4> words{};
  std::memcpy(words.data(), &report, sizeof(report));
  for (std::size_t i = 0; i < words.size(); i++) {
    if ((missing >> i & 1) != 0) words[i] = 0;
  }
  allnorm_kernel::Control control{};
  control.poison = report.rank + 1;
  std::memcpy(&control.reports[report.rank], words.data(), sizeof(report));
  ranks.machine().write(ranks.world().rank(0).impl().symmetric->data(), &control, sizeof(control));
  return ranks.status(0);
}

TEST_CASE("a report of which a part is still under way says nothing") {
  Ranks ranks(3);
  for (const auto phase : {allnorm_kernel::Phase::kScatter, allnorm_kernel::Phase::kDiffers}) {
    allnorm_kernel::Report report{
        0, 1, 2, static_cast<std::uint32_t>(phase), 3 | std::uint64_t{4} << 32, 5 | std::uint64_t{6} << 32};
    report.check = allnorm_kernel::check_of(report.rank, report.waited_for, report.phase, report.row, report.epoch);
    CHECK(status_without(ranks, report, 0).waited_for == 2);
    for (unsigned missing = 1; missing < 256; missing++) {
      INFO("without the words " << missing);
      const WorkspaceStatus status = status_without(ranks, report, missing);
      CHECK(status.waited_for == -1);
      CHECK_THAT(status.message, Contains("its report has not arrived yet"));
    }
  }
  ranks.world().reset();
}

TEST_CASE("checked mode costs a kernel a call and rank") {
  for (const bool checked : {false, true}) {
    Ranks ranks(2, checked);
    const std::uint64_t before = ranks.machine().statistics().launches;
    for (int i = 0; i < 3; i++) ranks.all_call(usual_case(2));
    ranks.synchronize();
    CHECK(ranks.machine().statistics().launches - before == (checked ? 12 : 6));
  }
}

TEST_CASE("without checked mode a difference is a timeout, and a call that is refused costs no kernel") {
  Ranks ranks(2, false);
  Case other = usual_case(2);
  other.tokens = 5;
  const std::uint64_t before = ranks.machine().statistics().launches;
  error_of(ErrorCode::kInvalidArgument, [&] { ranks.call(1, other, misalign); });
  ranks.call(0, usual_case(2));
  ranks.call(1, other);
  ranks.synchronize();
  CHECK(ranks.machine().statistics().launches - before == 2);
  CHECK(ranks.status(1).code == ErrorCode::kTimeout);
  CHECK(ranks.status(1).phase == "one-shot");
}

}  // namespace
}  // namespace allnorm::sim_tests
