// Checked mode: the ranks compare each call on the device before it runs.
#include <fmt/format.h>

#include <functional>

#include "allnorm/buffer.h"
#include "cache_fixture.h"
#include "calls/placement.h"
#include "catch.h"
#include "error_of.h"
#include "sim/scenario.h"

namespace allnorm::sim_tests {
namespace {

using calls::Case;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
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
  explicit Ranks(int world_size, bool checked = true)
      : context_({.cache_directory = kernel_cache(), .device = fmt::format("sim:{}", world_size)}) {
    WorldOptions options;
    for (int rank = 0; rank < world_size; rank++) options.devices.push_back(rank);
    options.max_row_bytes = 1024;
    options.max_tokens_one_shot = options.max_tokens_two_shot = 8;
    options.checked = checked;
    world_ = std::make_unique<World>(context_, options);
    for (int rank = 0; rank < world_size; rank++) streams_.push_back(std::make_unique<OwnedStream>(context_, rank));
  }

  World& world() { return *world_; }
  int size() const { return static_cast<int>(streams_.size()); }

  void call(int rank, const Case& c) {
    calls::Layout layout;
    calls::Placement placement = calls::place_outputs(c, layout);
    calls::place_inputs(c, layout, placement);
    Buffer& memory = *memory_.emplace_back(std::make_unique<Buffer>(context_, rank, layout.size() + 1));
    memory.fill(0);
    const calls::AnyCall made = calls::make_call(c, placement, static_cast<std::byte*>(memory.data()));
    calls::enqueue(world_->rank(rank), made, streams_[static_cast<std::size_t>(rank)]->get());
  }
  void all_call(const Case& c) {
    for (int rank = 0; rank < size(); rank++) call(rank, c);
  }
  void synchronize() {
    for (const auto& stream : streams_) stream->synchronize();
  }
  WorkspaceStatus status(int rank) { return world_->rank(rank).status(); }

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
    CHECK(status.rank == 0);
    CHECK(status.waited_for == (odd == 0 ? 1 : odd));
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
      const auto expected = [&](const std::string& usual, const std::string& other) {
        const int second = odd == 0 ? 1 : odd;
        return StartsWith(fmt::format(
            "the ranks' calls differ: in call 4 (counted from 1) rank 0 has {}; rank {} has {}. Outputs since then",
            odd == 0 ? other : usual, second, odd == 0 ? usual : other));
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

TEST_CASE("without checked mode a difference is a timeout, and costs no kernel") {
  Ranks ranks(2, false);
  Case other = usual_case(2);
  other.tokens = 5;
  ranks.call(0, usual_case(2));
  ranks.call(1, other);
  ranks.synchronize();
  CHECK(ranks.status(1).code == ErrorCode::kTimeout);
  CHECK(ranks.status(1).phase == "one-shot");
}

}  // namespace
}  // namespace allnorm::sim_tests
