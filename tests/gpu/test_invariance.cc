// A token's bytes depend on its inputs alone: not on the strategy, not on the geometry, not on the other tokens.
#include <fmt/format.h>

#include "catch.h"
#include "comm/workspace_impl.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

constexpr std::int64_t kLargestCall = 40;

WorldOptions options_for(int world_size, bool virtual_ranks) {
  WorldOptions options;
  options.devices = devices_for(world_size, virtual_ranks);
  options.max_row_bytes = std::int64_t{65536} * 4;
  options.max_tokens_one_shot = options.max_tokens_two_shot = kLargestCall;
  options.timeout_seconds = 20;
  return options;
}

Case base_case(int world_size, int hidden_dim, DataType dtype, Quant quant, std::int64_t tokens) {
  Case c;
  c.seed = test_seed();
  c.world_size = world_size;
  c.hidden_dim = hidden_dim;
  c.dtype = c.gamma_dtype = dtype;
  c.quant = quant;
  c.tokens = tokens;
  c.output_scale = 3.7F;
  c.weight_bias = 1.0F;
  return c;
}

/// Rows that are odd to a geometry: less than a vector a lane, a partial chunk, many chunks.
std::vector<Case> base_cases(int world_size) {
  return {base_case(world_size, 16, DataType::kBF16, Quant::kNvfp4, 5),
          base_case(world_size, 2880, DataType::kF16, Quant::kFp8, 7),
          base_case(world_size, 4544, DataType::kF32, Quant::kDynamicFp8, 3),
          base_case(world_size, 8192, DataType::kBF16, Quant::kNvfp4, 5),
          base_case(world_size, 65536, DataType::kBF16, Quant::kDynamicFp8, 3)};
}

/// The smallest number of warps for each cluster size and number of chunks a warp, and one more than that.
std::vector<Geometry> geometries_for(const Case& c) {
  std::vector<Geometry> geometries;
  const int chunks = chunks_per_row(c.hidden_dim, c.dtype);
  for (const int ctas : {1, 2, 4, 8}) {
    for (const int per_warp : {1, 2, 3, 5}) {
      const int fewest = (chunks + ctas * per_warp - 1) / (ctas * per_warp);
      for (const int warps : {fewest, fewest + 1}) {
        if (warps > 32) continue;
        geometries.push_back(
            {static_cast<std::uint8_t>(ctas), static_cast<std::uint8_t>(warps), static_cast<std::uint8_t>(per_warp)});
      }
    }
  }
  return geometries;
}

void force(Session& session, std::optional<Geometry> geometry) {
  for (int rank = 0; rank < session.size(); ++rank) session.workspace(rank).impl().force_geometry(geometry);
}

void check_strategies(int world_size, bool virtual_ranks) {
  Session session(options_for(world_size, virtual_ranks));
  std::vector<Case> one_shot = base_cases(world_size);
  std::vector<Case> two_shot = one_shot;
  for (Case& c : two_shot) c.strategy = Strategy::kTwoShot;
  const auto expected = session.outputs_of(one_shot);
  const auto got = session.outputs_of(two_shot);
  for (std::size_t i = 0; i < one_shot.size(); ++i) {
    INFO(describe(one_shot[i]));
    for (std::size_t rank = 0; rank < expected.size(); ++rank) {
      CHECK((expected[rank][i] == expected[0][i]));
      CHECK((got[rank][i] == expected[0][i]));
    }
  }
}

void check_geometries(int world_size, bool virtual_ranks) {
  Session session(options_for(world_size, virtual_ranks));
  int ran = 0;
  int refused = 0;
  for (Case c : base_cases(world_size)) {
    force(session, std::nullopt);
    const auto expected = session.outputs_of({&c, 1});
    for (const Geometry& geometry : geometries_for(c)) {
      c.strategy = ran % 2 == 0 ? Strategy::kOneShot : Strategy::kTwoShot;
      INFO(describe(c) << fmt::format("; geometry: {} CTAs a row, {} warps, {} chunks a warp", geometry.ctas_per_row,
                                      geometry.warps_per_cta, geometry.chunks_per_warp));
      force(session, geometry);
      try {
        const auto got = session.outputs_of({&c, 1});
        for (const auto& of_rank : got) CHECK((of_rank == expected[0]));
        ++ran;
      } catch (const Error& error) {
        // Too many registers, or no room for a cluster of every rank: a geometry may say no, but not be wrong.
        INFO(error.what());
        CHECK(error.code() == ErrorCode::kUnsupported);
        ++refused;
      }
    }
  }
  report_json(fmt::format("{{\"test\":\"geometries\",\"world_size\":{},\"virtual\":{},\"ran\":{},\"refused\":{}}}",
                          world_size, virtual_ranks, ran, refused));
  CHECK(ran > refused);
}

void check_batches(int world_size, bool virtual_ranks) {
  Session session(options_for(world_size, virtual_ranks));
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
    Case batch = base_case(world_size, 2880, DataType::kBF16, Quant::kNvfp4, 37);
    batch.pattern = reference::Pattern::kInfinityNan;  // a row's NaNs must stay its own
    batch.strategy = strategy;
    std::vector<Case> cases = {batch};
    for (const std::int64_t row : {0, 1, 2, 35, 36}) {
      Case alone = batch;
      alone.first_row = row;
      alone.tokens = 1;
      cases.push_back(alone);
    }
    const auto outputs = session.outputs_of(cases);
    const std::vector<Placement> placements = session.placements();
    for (std::size_t i = 1; i < cases.size(); ++i) {
      INFO(describe(cases[i]));
      const auto row_of = [&](std::size_t which, Piece Placement::* tensor, std::int64_t row) {
        const Placement& p = placements[which];
        const auto bytes = (p.*tensor).bytes / static_cast<std::size_t>(cases[which].tokens);
        const auto begin = (p.*tensor).offset - p.outputs.offset + static_cast<std::size_t>(row) * bytes;
        const auto& image = outputs[0][which];
        return std::vector<std::uint8_t>(image.begin() + static_cast<std::ptrdiff_t>(begin),
                                         image.begin() + static_cast<std::ptrdiff_t>(begin + bytes));
      };
      for (const auto tensor :
           {&Placement::output, &Placement::residual_out, &Placement::quant_out, &Placement::scale_out}) {
        CHECK((row_of(0, tensor, cases[i].first_row) == row_of(i, tensor, 0)));
      }
    }
  }
}

TEST_CASE("one-shot and two-shot give the same bytes on every rank", "[virtual][invariance]") {
  for (const int world_size : {2, 3, 8}) check_strategies(world_size, true);
}
TEST_CASE("on GPUs of their own one-shot and two-shot give the same bytes", "[.][two_gpus][invariance]") {
  if (has_gpus(gpus_of_world())) check_strategies(gpus_of_world(), false);
}
TEST_CASE("every geometry gives the same bytes", "[.][virtual][invariance]") { check_geometries(2, true); }
TEST_CASE("on GPUs of their own every geometry gives the same bytes", "[.][two_gpus][invariance]") {
  if (has_gpus(gpus_of_world())) check_geometries(gpus_of_world(), false);
}
TEST_CASE("a token has the same bytes alone and within a batch", "[virtual][invariance]") { check_batches(3, true); }

}  // namespace
}  // namespace allnorm::gpu_tests
