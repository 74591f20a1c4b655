// The reference itself, against small cases computed by hand: sum, residual, NaN,
// independence of rows. (test_reference_norm.cc has the norm, test_reference_quant.cc the codes.)
//
// Some use 2^24 in f32: it is the first number to which adding 1 changes nothing (a tie, to even),
// while adding 2 does. So the order of additions shows in the result.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "catch.h"
#include "matrix.h"
#include "reference/numbers.h"
#include "reference/patterns.h"

namespace allnorm::reference {
namespace {

constexpr DataType kDtypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16};
constexpr float kBig = 0x1p24F;

/// The bits of element i, whatever the dtype.
std::uint32_t bits_at(DataType dtype, const Bytes& bytes, std::size_t i) {
  return dtype == DataType::kF32 ? word_at(bytes, i) : half_at(bytes, i);
}

std::uint32_t negative_zero(DataType dtype) {
  return dtype == DataType::kF32 ? 0x80000000 : 0x8000;
}

}  // namespace

TEST_CASE("the sum of one rank turns -0 into +0", "[reference]") {
  for (const DataType dtype : kDtypes) {
    const Bytes input = matrix(dtype, std::vector<float>(8, -0.0F));
    CHECK(sum(dtype, {input}) == Bytes(input.size(), 0));
    CHECK(sum(dtype, {input, input, input}) == Bytes(input.size(), 0));
  }
}

TEST_CASE("the sum is taken in rank order", "[reference]") {
  const Bytes big = f32s({kBig, 1.0F, 1.0F, 1.0F});
  const Bytes one = f32s({1.0F, kBig, 1.0F, 1.0F});
  const Bytes last = f32s({1.0F, 1.0F, kBig, -1.0F});
  const Bytes result = sum(DataType::kF32, {big, one, last});
  CHECK(f32_at(result, 0) == kBig);         // (2^24 + 1) + 1
  CHECK(f32_at(result, 1) == kBig);         // (1 + 2^24) + 1
  CHECK(f32_at(result, 2) == kBig + 2.0F);  // (1 + 1) + 2^24
  CHECK(f32_at(result, 3) == 1.0F);
}

TEST_CASE("the sum is kept in f32 and rounded to the dtype once", "[reference]") {
  // In bf16, 256 + 1 is a tie that goes back to 256; 258 can be represented. f16: 2048 and 2050.
  const auto all = [](DataType dtype, float x) { return matrix(dtype, std::vector<float>(8, x)); };
  const Bytes b = sum(DataType::kBF16, {all(DataType::kBF16, 256), all(DataType::kBF16, 1),
                                        all(DataType::kBF16, 1)});
  CHECK(b == all(DataType::kBF16, 258));
  const Bytes h = sum(DataType::kF16,
                      {all(DataType::kF16, 2048), all(DataType::kF16, 1), all(DataType::kF16, 1)});
  CHECK(h == all(DataType::kF16, 2050));
}

TEST_CASE("a sum beyond the dtype is infinite", "[reference]") {
  const Bytes largest = matrix(DataType::kF16, std::vector<float>(8, -65504.0F));
  CHECK(half_at(sum(DataType::kF16, {largest, largest}), 3) == 0xFC00);
}

TEST_CASE("no sum of sanitised inputs is -0", "[reference]") {
  constexpr int kHidden = 4096;
  for (const DataType dtype : kDtypes) {
    for (int p = 0; p < kPatterns; ++p) {
      for (int world = 1; world <= 8; ++world) {
        std::vector<Bytes> inputs(static_cast<std::size_t>(world));
        for (int rank = 0; rank < world; ++rank) {
          Bytes& input = inputs[static_cast<std::size_t>(rank)];
          input.resize(kHidden * size_of(dtype));
          fill(static_cast<Pattern>(p), dtype, 7, rank, input.data(), 1, kHidden);
          // Sanitised: what a rank publishes has +0 for -0. The pairs that cancel are put in.
          for (std::size_t i = 0; i < kHidden; ++i) {
            const bool cancel = rank == 1 && i % 3 == 0;
            const std::uint32_t sign = negative_zero(dtype);
            std::uint32_t bits =
                bits_at(dtype, cancel ? inputs[0] : input, i) ^ (cancel ? sign : 0);
            if (bits == sign) bits = 0;
            if (dtype == DataType::kF32) store(input.data(), i, bits);
            if (dtype != DataType::kF32) store(input.data(), i, static_cast<std::uint16_t>(bits));
          }
        }
        const Bytes result = sum(dtype, inputs);
        int negative_zeros = 0;
        for (std::size_t i = 0; i < kHidden; ++i) {
          if (bits_at(dtype, result, i) == negative_zero(dtype)) ++negative_zeros;
        }
        INFO(to_string(static_cast<Pattern>(p)) << ", world " << world);
        CHECK(negative_zeros == 0);
      }
    }
  }
}

TEST_CASE("the residual is added to the rounded sum, and rounded again", "[reference]") {
  // 256 + 1 rounds to 256 in bf16; then 256 + 1 does again. Unrounded it would be 258.
  const auto all = [](float x) { return matrix(DataType::kBF16, std::vector<float>(8, x)); };
  const Call call{.tokens = 1, .hidden_dim = 8};
  const Outputs outputs = run(call, {all(256), all(1)}, all(1), all(1));
  CHECK(outputs.residual_out == all(256));
  CHECK(outputs.output == all(1));  // all elements are equal, so the norm makes them 1
}

TEST_CASE("gamma may be f32 beside a 16-bit dtype", "[reference]") {
  const auto all = [](float x) { return matrix(DataType::kF16, std::vector<float>(8, x)); };
  Call call{.tokens = 1, .hidden_dim = 8, .dtype = DataType::kF16, .gamma_dtype = DataType::kF32};
  call.quant = Quant::kFp8;
  const Outputs outputs = run(call, {all(2)}, all(0), f32s({1, 2, 3, 4, 5, 6, 7, 0x1p17F}));
  const float infinity = float_of(0x7F800000);
  CHECK(outputs.output == matrix(DataType::kF16, {1, 2, 3, 4, 5, 6, 7, infinity}));
  CHECK(outputs.quant_out == Bytes{0x38, 0x40, 0x44, 0x48, 0x4A, 0x4C, 0x4E, 0x7E});
}

TEST_CASE("every NaN that is stored is canonical", "[reference]") {
  const Bytes row = f32_bits({0xFFC12345, 0x7F800001, 0x3F800000, 0x3F800000});
  CHECK(sum(DataType::kF32, {row}) == f32_bits({kNanF32, kNanF32, 0x3F800000, 0x3F800000}));
  const Outputs outputs = run(f32_row(4), {row}, f32s({0, 0, 0, 0}), f32s({1, 1, 1, 1}));
  CHECK(outputs.residual_out == f32_bits({kNanF32, kNanF32, 0x3F800000, 0x3F800000}));
  CHECK(outputs.output == f32_bits(std::vector<std::uint32_t>(4, kNanF32)));
  for (const DataType dtype : {DataType::kF16, DataType::kBF16}) {
    Bytes halves = matrix(dtype, std::vector<float>(8, 1.0F));
    store(halves.data(), 2, std::uint16_t{0xFFC1});
    const Call call{.tokens = 1, .hidden_dim = 8, .dtype = dtype, .gamma_dtype = dtype};
    const Outputs narrow_outputs = run(call, {halves}, Bytes(16, 0), halves);
    CHECK(half_at(narrow_outputs.residual_out, 2) == 0x7FFF);
    CHECK(half_at(narrow_outputs.output, 0) == 0x7FFF);
  }
}

TEST_CASE("a row does not depend on the others, nor on the number of threads", "[reference]") {
  constexpr int kTokens = 7, kHidden = 80;
  for (const Quant quant : {Quant::kNone, Quant::kFp8, Quant::kNvfp4, Quant::kDynamicFp8}) {
    Call call{.tokens = kTokens, .hidden_dim = kHidden, .quant = quant, .epsilon = 0x1p-7F};
    std::vector<Bytes> parts(4, Bytes(kTokens * kHidden * 2));
    for (int rank = 0; rank < 4; ++rank) {
      fill(Pattern::kRandom, call.dtype, 1, rank, parts[static_cast<std::size_t>(rank)].data(),
           kTokens, kHidden);
    }
    const Bytes gamma(parts[3].begin(), parts[3].begin() + kHidden * 2);
    const Outputs all = run(call, {parts[0], parts[1]}, parts[2], gamma);
    const Outputs threaded = run(call, {parts[0], parts[1]}, parts[2], gamma, 0xAA, 3);
    CHECK((all.output == threaded.output && all.residual_out == threaded.residual_out));
    CHECK((all.quant_out == threaded.quant_out && all.scale_out == threaded.scale_out));
    const auto row = [](const Bytes& bytes, std::size_t token) {
      const std::size_t size = bytes.size() / kTokens;
      const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(token * size);
      return Bytes(first, first + static_cast<std::ptrdiff_t>(size));
    };
    call.tokens = 1;
    for (std::size_t t = 0; t < kTokens; ++t) {
      const Outputs one = run(call, {row(parts[0], t), row(parts[1], t)}, row(parts[2], t), gamma);
      CHECK(one.output == row(all.output, t));
      CHECK(one.quant_out == row(all.quant_out, t));
      CHECK(one.scale_out == row(all.scale_out, t));
    }
  }
}

}  // namespace allnorm::reference
