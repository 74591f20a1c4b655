// The reference's FP8 and NVFP4 codes, scales and layouts against small cases computed by hand.
//
// Codes of e4m3 that appear here: 38 is 1, 3C is 1.5, 40 is 2, 48 is 4, 7E is 448, 7F is NaN.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "catch.h"
#include "matrix.h"
#include "reference/numbers.h"

namespace allnorm::reference {
namespace {

const float kInfinity = float_of(0x7F800000);
const float kNan = float_of(kNanF32);

/// A block of 16: the numbers given, then zeros.
std::vector<float> block(std::vector<float> numbers) {
  numbers.resize(16, 0.0F);
  return numbers;
}

Outputs nvfp4(const std::vector<float>& n, float output_scale = 1.0F) {
  return quantize_row({.quant = Quant::kNvfp4, .output_scale = output_scale}, n);
}

/// The first `count` bytes.
Bytes head(const Bytes& bytes, std::size_t count) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

TEST_CASE("FP8 divides by the output scale and saturates", "[reference]") {
  const Call call{.quant = Quant::kFp8, .output_scale = 2.0F};
  const Outputs outputs =
      quantize_row(call, {2, -3, 896, -1e30F, -0.0F, kInfinity, kNan, 0x1p-20F});
  CHECK(outputs.quant_out == Bytes{0x38, 0xBC, 0x7E, 0xFE, 0x80, 0x7E, 0x7F, 0x00});
  CHECK(outputs.scale_out.empty());
}

TEST_CASE("FP8 multiplies by the rounded reciprocal", "[reference]") {
  // 10.9375 / 7 = 1.5625, a tie that goes to 1.5. RN(1/7) is above 1/7, and the product above the
  // tie.
  const Call call{.quant = Quant::kFp8, .output_scale = 7.0F};
  CHECK(quantize_row(call, {10.9375F, 7, 14, 0}).quant_out == Bytes{0x3D, 0x38, 0x40, 0x00});
}

TEST_CASE("dynamic FP8 scales a row so that its largest magnitude is 448", "[reference]") {
  const Call call{.quant = Quant::kDynamicFp8};
  const Outputs outputs = quantize_row(call, {1, -896, 2, 4});
  CHECK(outputs.scale_out == f32s({2}));
  CHECK(outputs.quant_out == Bytes{0x30, 0xFE, 0x38, 0x40});
  // 1.001953125 / 448 is 3b129249; times RN(1/448) it would be 3b12924a.
  CHECK(quantize_row(call, {0x1.008p+0F, 0, 0, 0}).scale_out == f32_bits({0x3B129249}));
}

TEST_CASE("dynamic FP8 multiplies by the reciprocal of its scale", "[reference]") {
  // Found by search: here a division would give 7A.
  const Outputs outputs =
      quantize_row({.quant = Quant::kDynamicFp8}, {0x1.14p+0F, 0x1.9ep-1F, 0, 0});
  CHECK(outputs.quant_out == Bytes{0x7E, 0x7B, 0x00, 0x00});
}

TEST_CASE("the scale of dynamic FP8 has a floor", "[reference]") {
  const Call call{.quant = Quant::kDynamicFp8};
  const float floor = 1.0F / (512.0F * 448.0F);
  const Outputs zeros = quantize_row(call, {0, -0.0F, 0, 0});
  CHECK(zeros.scale_out == f32s({floor}));
  CHECK(zeros.quant_out == Bytes{0x00, 0x80, 0x00, 0x00});
  CHECK(quantize_row(call, {0x1p-10F, 0, 0, 0}).scale_out == f32s({floor}));
  CHECK(quantize_row(call, {0x1p-8F, 0, 0, 0}).scale_out == f32s({0x1p-8F / 448.0F}));
}

TEST_CASE("dynamic FP8 ignores NaN in the largest magnitude, and infinity wins it", "[reference]") {
  const Call call{.quant = Quant::kDynamicFp8};
  const Outputs some = quantize_row(call, {kNan, 448, 1, kNan});
  CHECK(some.scale_out == f32s({1}));
  CHECK(some.quant_out == Bytes{0x7F, 0x7E, 0x38, 0x7F});
  const Outputs all = quantize_row(call, {kNan, kNan, kNan, kNan});
  CHECK(all.scale_out == f32s({1.0F / (512.0F * 448.0F)}));
  CHECK(all.quant_out == Bytes{0x7F, 0x7F, 0x7F, 0x7F});
  const Outputs infinite = quantize_row(call, {-kInfinity, 448, -1, 0});
  CHECK(infinite.scale_out == f32s({kInfinity}));
  CHECK(infinite.quant_out == Bytes{0x7F, 0x00, 0x80, 0x00});  // inf * 0 is NaN
}

TEST_CASE("each token has a dynamic FP8 scale of its own", "[reference]") {
  Call call = f32_row(4);
  call.tokens = 2;
  call.quant = Quant::kDynamicFp8;
  const Bytes zeros = f32s({0, 0, 0, 0, 0, 0, 0, 0});
  const Bytes rows = f32s({1, 1, 1, 1, 2, 0, 0, 0});  // normalised: ones; 2, 0, 0, 0
  const Outputs outputs = run(call, {rows}, zeros, f32s({448, 448, 448, 448}));
  CHECK(outputs.scale_out == f32s({1, 2}));
  CHECK(outputs.quant_out == Bytes{0x7E, 0x7E, 0x7E, 0x7E, 0x7E, 0, 0, 0});
}

TEST_CASE("NVFP4 puts the even column into the low nibble", "[reference]") {
  const Outputs outputs =
      nvfp4({0.5F, -6, 1, 1.5F, 2, 3, 4, 6, -0.0F, -0.5F, 0, 0, 5, 2.5F, 0, -4});
  CHECK(outputs.scale_out == Bytes{0x38});
  CHECK(outputs.quant_out == Bytes{0xF1, 0x32, 0x54, 0x76, 0x98, 0x00, 0x46, 0xE0});
}

TEST_CASE("NVFP4 multiplies the scale by the output scale", "[reference]") {
  const Outputs doubled = nvfp4(block({6, 3}), 2.0F);
  CHECK(doubled.scale_out == Bytes{0x40});
  CHECK(head(doubled.quant_out, 1) == Bytes{0x57});
  // Saturated at 448: m = 896 / 448 = 2, so 3 becomes 6 and 6 saturates.
  const Outputs saturated = nvfp4(block({6, 3, 1}), 896.0F);
  CHECK(saturated.scale_out == Bytes{0x7E});
  CHECK(head(saturated.quant_out, 2) == Bytes{0x77, 0x04});
  // 3 * (3.125 * RN(1/6)) is above the tie of 1.5625; (3 * 3.125) * RN(1/6) is on it.
  CHECK(nvfp4(block({3.125F}), 3.0F).scale_out == Bytes{0x3D});
}

TEST_CASE("NVFP4 uses the rounded scale", "[reference]") {
  // 6.3 / 6 = 1.05 is stored as 1: the codes are made with 1, so that 5.2 is 6 and not 4 (4.95).
  const Outputs outputs = nvfp4(block({6.3F, 5.2F}));
  CHECK(outputs.scale_out == Bytes{0x38});
  CHECK(head(outputs.quant_out, 1) == Bytes{0x77});
}

TEST_CASE("an NVFP4 block whose scale rounds to 0 has codes of 0, with signs", "[reference]") {
  const Outputs outputs = nvfp4(block({0x1p-9F, -0x1p-9F, -0.0F}));  // 2^-9 / 6 is below 2^-10
  CHECK(outputs.scale_out == Bytes{0x00});
  CHECK(head(outputs.quant_out, 2) == Bytes{0x80, 0x08});
  const Outputs negative = nvfp4(block({0x1p-9F, -0x1p-9F}), -1.0F);  // the scale is -0
  CHECK(negative.scale_out == Bytes{0x80});
  CHECK(head(negative.quant_out, 1) == Bytes{0x80});
}

TEST_CASE("an NVFP4 block that holds a NaN shows it, and its neighbours do not", "[reference]") {
  std::vector<float> n = block({6, 3});
  n.resize(48, 1.0F);
  n[21] = kNan;
  const Outputs outputs = nvfp4(n);
  CHECK(outputs.scale_out[0] == 0x38);
  CHECK(outputs.scale_out[1] == 0x7F);
  CHECK(outputs.scale_out[2] == f32_to_e4m3(1.0F / 6.0F));
  CHECK(head(outputs.quant_out, 8) == Bytes{0x57, 0, 0, 0, 0, 0, 0, 0});
  for (std::size_t i = 8; i < 16; ++i) CHECK(outputs.quant_out[i] == 0x77);
  CHECK(outputs.quant_out[16] == 0x77);  // 1 / (6 * 0.16) is 6 as well
}

TEST_CASE("an NVFP4 block that holds an infinity has the largest scale", "[reference]") {
  const Outputs outputs = nvfp4(block({kInfinity, -kInfinity, 448, -3000}));
  CHECK(outputs.scale_out == Bytes{0x7E});
  CHECK(head(outputs.quant_out, 2) == Bytes{0xF7, 0xF2});
}

TEST_CASE("a linear scale lies at row * (hidden / 16) + block", "[reference]") {
  CHECK(scale_offset(ScaleLayout::kLinear, 80, 0, 4) == 4);
  CHECK(scale_offset(ScaleLayout::kLinear, 80, 3, 2) == 17);
}

TEST_CASE("a swizzled scale lies in tiles of 128 rows and 4 blocks", "[reference]") {
  const auto at = [](std::int64_t row, int block) {
    return scale_offset(ScaleLayout::kSwizzled128x4, 80, row, block);  // 5 blocks: 2 tiles
  };
  CHECK(at(0, 0) == 0);
  CHECK(at(0, 3) == 3);
  CHECK(at(1, 0) == 16);
  CHECK(at(32, 0) == 4);
  CHECK(at(95, 2) == 31 * 16 + 2 * 4 + 2);
  CHECK(at(0, 4) == 512);
  CHECK(at(127, 4) == 512 + 31 * 16 + 3 * 4);
  CHECK(at(128, 0) == 1024);
  std::set<std::size_t> offsets;
  for (std::int64_t row = 0; row < 256; ++row) {
    for (int block = 0; block < 8; ++block) {
      offsets.insert(scale_offset(ScaleLayout::kSwizzled128x4, 128, row, block));
    }
  }
  CHECK(offsets.size() == 256 * 8);
  CHECK(*offsets.rbegin() == 256 * 8 - 1);
}

TEST_CASE("NVFP4 puts the scale of each block where its layout says", "[reference]") {
  constexpr int kTokens = 130, kHidden = 80;
  Call call{.tokens = kTokens, .hidden_dim = kHidden, .quant = Quant::kNvfp4};
  const Bytes ones = matrix(call.dtype, std::vector<float>(kTokens * kHidden, 1.0F));
  const Bytes zeros(ones.size(), 0);
  std::vector<float> weights(kHidden);  // block b has the scale 2^b
  for (int i = 0; i < kHidden; ++i) {
    weights[static_cast<std::size_t>(i)] = 6.0F * static_cast<float>(1 << i / 16);
  }
  const Bytes gamma = matrix(call.dtype, weights);
  for (const ScaleLayout layout : {ScaleLayout::kLinear, ScaleLayout::kSwizzled128x4}) {
    for (const bool zero_padding : {false, true}) {
      call.layout = layout;
      call.zero_scale_padding = zero_padding;
      const Outputs outputs = run(call, {ones}, zeros, gamma, 0xA5, 2);
      Bytes expected(layout == ScaleLayout::kLinear ? 130 * 5 : 256 * 8, zero_padding ? 0 : 0xA5);
      for (int row = 0; row < kTokens; ++row) {
        for (int b = 0; b < 5; ++b) {
          expected[scale_offset(layout, kHidden, row, b)] = static_cast<std::uint8_t>(0x38 + 8 * b);
        }
      }
      CHECK(outputs.scale_out == expected);
      CHECK(outputs.quant_out == Bytes(kTokens * kHidden / 2, 0x77));
    }
  }
}

TEST_CASE("quantization starts from the output as it is stored", "[reference]") {
  // In bf16, 1 + 2^-8 is stored as 1: the row's largest magnitude is 1, and the scale 1 / 448.
  const Bytes ones = matrix(DataType::kBF16, std::vector<float>(16, 1.0F));
  const Bytes gamma = f32s(std::vector<float>(16, 1.0F + 0x1p-8F));
  Call call{.tokens = 1, .hidden_dim = 16, .gamma_dtype = DataType::kF32};
  call.quant = Quant::kDynamicFp8;
  const Outputs outputs = run(call, {ones}, Bytes(32, 0), gamma);
  CHECK(outputs.output == ones);
  CHECK(outputs.scale_out == f32s({1.0F / 448.0F}));
}

}  // namespace allnorm::reference
