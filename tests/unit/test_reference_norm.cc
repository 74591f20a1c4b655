// The reference's norm against small cases computed by hand: the order of the sum of squares,
// epsilon, weights.
//
// 2^24 is the first f32 to which adding 1 changes nothing (a tie, to even), while adding 2 does: so
// the order of additions shows in the result.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "catch.h"
#include "matrix.h"
#include "reference/numbers.h"

namespace allnorm::reference {
namespace {

constexpr DataType kDtypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16};
constexpr float kBig = 0x1p24F;
constexpr float kRoot = 0x1p12F;  // its square is kBig

/// A row of zeros but for ones at some places and 2^12 at element 0.
std::vector<float> big_then_ones(std::size_t size, const std::vector<std::size_t>& ones) {
  std::vector<float> row(size, 0.0F);
  row[0] = kRoot;
  for (const std::size_t i : ones) row[i] = 1.0F;
  return row;
}

}  // namespace

TEST_CASE("squares are added by fma", "[reference]") {
  // h^2 = 1 + 2^-11 + 2^-24 is a tie that rounds down; with 2^-24 before it, the fma is exact.
  const std::array row{0x1p-12F, 1.0F + 0x1p-12F, 0.0F, 0.0F};
  CHECK(sum_of_squares(DataType::kF32, row) == 1.0F + 0x1p-11F + 0x1p-23F);
}

TEST_CASE("squares of a vector are added in element order", "[reference]") {
  CHECK(sum_of_squares(DataType::kF32, std::array{kRoot, 1.0F, 1.0F, 1.0F}) == kBig);
  CHECK(sum_of_squares(DataType::kF32, std::array{1.0F, 1.0F, 1.0F, kRoot}) == kBig + 4.0F);
  // One vector of 8, or two of 4, of which the second has 1 + 1.
  const std::array eight{0.0F, 0.0F, 0.0F, kRoot, 1.0F, 1.0F, 0.0F, 0.0F};
  CHECK(sum_of_squares(DataType::kBF16, eight) == kBig);
  CHECK(sum_of_squares(DataType::kF32, eight) == kBig + 2.0F);
}

TEST_CASE("vectors of a chunk are added by the butterfly that starts at 16", "[reference]") {
  // Vectors 8 and 24 meet first (1 + 1), then with vector 0. A butterfly from 1 up, or a walk from
  // left to right, would add the ones to 2^24 singly and lose both.
  for (const DataType dtype : kDtypes) {
    const std::size_t vector = 16 / size_of(dtype);
    CHECK(sum_of_squares(dtype, big_then_ones(32 * vector, {8 * vector, 24 * vector})) == kBig + 2);
    CHECK(sum_of_squares(dtype, big_then_ones(32 * vector, {16 * vector, 8 * vector})) == kBig);
    CHECK(sum_of_squares(dtype, big_then_ones(25 * vector, {8 * vector, 24 * vector})) == kBig + 2);
  }
}

TEST_CASE("chunks of a row are added by lane, and then by the butterfly", "[reference]") {
  for (const DataType dtype : kDtypes) {
    const std::size_t chunk = 512 / size_of(dtype);
    const auto row = [&](const std::vector<std::size_t>& chunks_with_one) {
      std::vector<std::size_t> ones;
      for (const std::size_t c : chunks_with_one) ones.push_back(c * chunk);
      return sum_of_squares(dtype, big_then_ones(97 * chunk, ones));
    };
    CHECK(row({32, 64}) == kBig);         // lane 0, one after the other
    CHECK(row({1, 33}) == kBig + 2.0F);   // lane 1 holds 2; left to right they would be lost
    CHECK(row({1, 2}) == kBig);           // lanes 1 and 2 meet lane 0 singly
    CHECK(row({8, 24}) == kBig + 2.0F);   // the butterfly pairs lanes 8 and 24
    CHECK(row({16, 48}) == kBig + 2.0F);  // lane 16
  }
}

TEST_CASE("every lane of the whole butterfly has the bits that the reference gives",
          "[reference]") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const std::size_t size : {16UL, 128UL, 2880UL, 7168UL, 20480UL}) {
    std::vector<float> row(size);
    for (float& x : row) x = normal(random);
    const auto whole = [](std::array<float, 32> lanes) {
      for (std::size_t step : {16UL, 8UL, 4UL, 2UL, 1UL}) {
        const std::array<float, 32> before = lanes;
        for (std::size_t l = 0; l < 32; ++l) lanes[l] = before[l] + before[l ^ step];
      }
      for (std::size_t l = 1; l < 32; ++l) REQUIRE(bits_of(lanes[l]) == bits_of(lanes[0]));
      return lanes[0];
    };
    std::vector<std::array<float, 32>> chunks((size + 255) / 256);
    for (std::size_t i = 0; i < size; ++i) {
      float& v = chunks[i / 256][i / 8 % 32];
      v = std::fma(row[i], row[i], v);
    }
    std::array<float, 32> lanes{};
    for (std::size_t c = 0; c < chunks.size(); ++c) lanes[c % 32] += whole(chunks[c]);
    CHECK(bits_of(whole(lanes)) == bits_of(sum_of_squares(DataType::kBF16, row)));
  }
}

TEST_CASE("epsilon is added to the mean of the squares", "[reference]") {
  Call call = f32_row(4);
  const Bytes zeros = f32s({0, 0, 0, 0});
  const Bytes ones = f32s({1, 1, 1, 1});
  CHECK(run(call, {f32s({2, -2, 2, 2})}, zeros, ones).output == f32s({1, -1, 1, 1}));
  call.epsilon = 3.0F;  // 1 / sqrt(1 + 3)
  CHECK(run(call, {ones}, zeros, ones).output == f32s({0.5F, 0.5F, 0.5F, 0.5F}));
  call.epsilon = 0.0F;  // 0 * inf
  CHECK(run(call, {zeros}, zeros, ones).output == f32_bits(std::vector<std::uint32_t>(4, kNanF32)));
  CHECK(default_epsilon(DataType::kF32) == 0x1p-23F);
  CHECK(default_epsilon(DataType::kF16) == 0x1p-10F);
  CHECK(default_epsilon(DataType::kBF16) == 0x1p-7F);
}

TEST_CASE("the norm starts from the residual as it is stored", "[reference]") {
  // In bf16, 256 + 1 is stored as 256. 100 / sqrt((256^2 + 7 * 100^2) / 8) = 0.76828 is above the
  // middle of 0.765625 and 0.76953125; with 257 it would be 0.76682, below it.
  std::vector<float> sums(8, 100.0F), residuals(8, 0.0F);
  sums[0] = 256.0F;
  residuals[0] = 1.0F;
  const Bytes ones = matrix(DataType::kBF16, std::vector<float>(8, 1.0F));
  const Outputs outputs = run({.tokens = 1, .hidden_dim = 8}, {matrix(DataType::kBF16, sums)},
                              matrix(DataType::kBF16, residuals), ones);
  CHECK(outputs.residual_out == matrix(DataType::kBF16, sums));
  CHECK(half_at(outputs.output, 1) == f32_to_bf16(0.76953125F));
}

TEST_CASE("the norm multiplies by r first, then by the weight", "[reference]") {
  // r = 2^60; with a gamma of 2^100, r * gamma would overflow.
  const Bytes tiny = f32s({0x1p-60F, 0x1p-60F, -0x1p-60F, 0x1p-60F});
  const Bytes gamma = f32s({0x1p100F, 1.0F, 1.0F, 3.0F});
  const Outputs outputs = run(f32_row(4), {tiny}, f32s({0, 0, 0, 0}), gamma);
  CHECK(outputs.output == f32s({0x1p100F, 1.0F, -1.0F, 3.0F}));
}

TEST_CASE("weight_bias is added to gamma in f32", "[reference]") {
  Call call = f32_row(4);
  call.weight_bias = 1.0F;
  const Bytes ones = f32s({1, 1, 1, 1});
  const Bytes zeros = f32s({0, 0, 0, 0});
  CHECK(run(call, {ones}, zeros, f32s({0x1p-24F, 1, -1, -2})).output == f32s({1, 2, 0, -1}));
  call.weight_bias = 0.0F;  // is added too: -0 + 0 is +0
  CHECK(run(call, {ones}, zeros, f32s({-0.0F, 1, 1, 1})).output == f32s({0.0F, 1, 1, 1}));

  // bf16: h * r = 1 + 2^-7 and the weight 1 + 2^-8 make 1 + 2^-7 + 2^-8 + 2^-15, above the middle.
  // A weight rounded to bf16 would be 1.
  const float h = 1.0F + 0x1p-7F;
  const Bytes row = matrix(DataType::kBF16, {h, 0, 0, 0, 0, 0, 0, 0});
  const Bytes none = matrix(DataType::kBF16, std::vector<float>(8, 0.0F));
  const Call bf16{.tokens = 1, .hidden_dim = 8, .epsilon = 1.0F - h * h / 8, .weight_bias = 1.0F};
  const Bytes gamma = matrix(DataType::kBF16, std::vector<float>(8, 0x1p-8F));
  CHECK(half_at(run(bf16, {row}, none, gamma).output, 0) == f32_to_bf16(1.0F + 0x1p-6F));
}

}  // namespace allnorm::reference
