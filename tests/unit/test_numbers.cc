// The conversions of the reference, and those of the kernels, equal the CUDA toolkit's to the bit.
//
// Inputs of 8 and 16 bits: all. f32 inputs: a fixed dense sample; exhaustive_numbers.cc does all
// 2^32.
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "catch.h"
#include "reference/conversions.h"

namespace allnorm::reference {
namespace {

#if ALLNORM_HAS_KERNEL_CONVERSIONS
using Implementations = std::tuple<Reference, Kernel>;
#else
using Implementations = std::tuple<Reference>;
#endif

/// All 2^19 patterns of sign, exponent and the top 10 mantissa bits, each with the low bits around
/// its own value, the middle to the next, and the end: every rounding decision of a format with at
/// most 10 mantissa bits. Then the same for the top 16 bits (bf16), and random bits.
const std::vector<std::uint32_t>& sampled_f32() {
  static const std::vector<std::uint32_t> sample = [] {
    std::vector<std::uint32_t> bits;
    for (const int low_bits : {13, 16}) {
      const std::uint32_t middle = 1U << (low_bits - 1);
      for (std::uint64_t top = 0; top < std::uint64_t{1} << (32 - low_bits); ++top) {
        for (const std::uint32_t low : {0U, 1U, middle - 1, middle, middle + 1, 2 * middle - 1}) {
          bits.push_back(static_cast<std::uint32_t>(top << low_bits) | low);
        }
      }
    }
    std::mt19937 random(2026);
    for (int i = 0; i < 2'000'000; ++i) bits.push_back(static_cast<std::uint32_t>(random()));
    return bits;
  }();
  return sample;
}

template <class Implementation, class Direction>
void check_direction() {
  std::uint64_t mismatches = 0;
  std::uint32_t example = 0;
  for (const std::uint32_t x : sampled_f32()) {
    if (equals_toolkit<Direction, Implementation>(x)) continue;
    if (mismatches++ == 0) example = x;
  }
  INFO(Implementation::kName << ", " << Direction::kName
                             << ": first wrong input, as bits: " << std::hex << example);
  CHECK(mismatches == 0);
}

/// How many of the codes below `codes` two decoders disagree about.
template <class Ours, class Theirs>
int disagreements(int codes, Ours ours, Theirs theirs) {
  int count = 0;
  for (int code = 0; code < codes; ++code) {
    if (!same_value(ours(code), theirs(code))) ++count;
  }
  return count;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("rounding f32 to a narrow format equals the toolkit", "[numbers]",
                        Implementations) {
  check_direction<TestType, ToF16>();
  check_direction<TestType, ToBf16>();
  check_direction<TestType, ToE4m3>();
  check_direction<TestType, ToE2m1>();
}

TEMPLATE_LIST_TEST_CASE("widening a narrow format to f32 equals the toolkit on every code",
                        "[numbers]", Implementations) {
  const auto half = [](auto implementation) {
    return [](int code) {
      return decltype(implementation)::f16_to_f32(static_cast<std::uint16_t>(code));
    };
  };
  const auto bfloat = [](auto implementation) {
    return [](int code) {
      return decltype(implementation)::bf16_to_f32(static_cast<std::uint16_t>(code));
    };
  };
  const auto e4m3 = [](auto implementation) {
    return [](int code) {
      return decltype(implementation)::e4m3_to_f32(static_cast<std::uint8_t>(code));
    };
  };
  CHECK(disagreements(65536, half(TestType{}), half(Toolkit{})) == 0);
  CHECK(disagreements(65536, bfloat(TestType{}), bfloat(Toolkit{})) == 0);
  CHECK(disagreements(256, e4m3(TestType{}), e4m3(Toolkit{})) == 0);
}

TEMPLATE_LIST_TEST_CASE("a number of a narrow format survives f32 and back", "[numbers]",
                        Implementations) {
  int changed = 0;
  for (int code = 0; code < 65536; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    const float half = TestType::f16_to_f32(bits);
    const float bfloat = TestType::bf16_to_f32(bits);
    if (TestType::f32_to_f16(half) != (is_nan(half) ? kNanF16 : bits)) ++changed;
    if (TestType::f32_to_bf16(bfloat) != (is_nan(bfloat) ? kNanBf16 : bits)) ++changed;
  }
  for (int code = 0; code < 256; ++code) {
    const auto bits = static_cast<std::uint8_t>(code);
    const float value = TestType::e4m3_to_f32(bits);
    if (TestType::f32_to_e4m3(value) != (is_nan(value) ? kNanE4m3 : bits)) ++changed;
  }
  CHECK(changed == 0);
}

TEMPLATE_LIST_TEST_CASE("NaNs become the canonical ones and infinities saturate FP8 and FP4",
                        "[numbers]", Implementations) {
  for (const std::uint32_t nan : {0x7F800001U, 0x7FC00000U, 0xFF800001U, 0xFFFFFFFFU}) {
    CHECK(TestType::f32_to_f16(float_of(nan)) == 0x7FFF);
    CHECK(TestType::f32_to_bf16(float_of(nan)) == 0x7FFF);
    CHECK(TestType::f32_to_e4m3(float_of(nan)) == 0x7F);
    CHECK(TestType::f32_to_e2m1(float_of(nan)) == 0x7);
  }
  const float infinity = float_of(0x7F800000);
  CHECK(TestType::f32_to_f16(-infinity) == 0xFC00);
  CHECK(TestType::f32_to_bf16(-infinity) == 0xFF80);
  CHECK(TestType::f32_to_e4m3(-infinity) == 0xFE);
  CHECK(TestType::f32_to_e2m1(-infinity) == 0xF);
}

TEST_CASE("e2m1 is 0, 0.5, 1, 1.5, 2, 3, 4, 6, and ties go to the even code", "[numbers]") {
  const float values[] = {0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
  for (int code = 0; code < 16; ++code) {
    const auto bits = static_cast<std::uint8_t>(code);
    const float value = code < 8 ? values[code] : -values[code - 8];
    CHECK(bits_of(e2m1_to_f32(bits)) == bits_of(value));
    CHECK(bits_of(Toolkit::e2m1_to_f32(bits)) == bits_of(value));
    CHECK(f32_to_e2m1(value) == code);
  }
  const float ties[] = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};
  const int even[] = {0, 2, 2, 4, 4, 6, 6};
  for (int i = 0; i < 7; ++i) CHECK(f32_to_e2m1(ties[i]) == even[i]);
}

TEST_CASE("a stored f32 keeps its bits unless it is a NaN", "[numbers]") {
  CHECK(stored_bits(-0.0F) == 0x80000000);
  CHECK(stored_bits(float_of(0x00000001)) == 0x00000001);
  CHECK(stored_bits(float_of(0xFF800000)) == 0xFF800000);
  CHECK(stored_bits(float_of(0xFF800001)) == 0x7FFFFFFF);
  CHECK(stored_bits(float_of(0x7FC00000)) == 0x7FFFFFFF);
}

TEST_CASE("rsqrt is correctly rounded", "[numbers]") {
  std::uint64_t wrong = 0;
  for (const std::uint32_t x : sampled_f32()) {
    if (x == 0 || x >= 0x7F800000) continue;
    if (bits_of(rsqrt_rn(float_of(x))) != rsqrt_by_long_double(float_of(x))) ++wrong;
  }
  CHECK(wrong == 0);
  // The power of two: exact. 1 - 2^-24 and 1 + 2^-23: by hand from the series 1 - d/2 + 3/8 d^2.
  CHECK(rsqrt_rn(0.25F) == 2.0F);
  CHECK(bits_of(rsqrt_rn(float_of(0x3F7FFFFF))) == 0x3F800000);
  CHECK(bits_of(rsqrt_rn(float_of(0x3F800001))) == 0x3F7FFFFF);
}

TEST_CASE("rsqrt of zeros, infinities and what has no root", "[numbers]") {
  CHECK(bits_of(rsqrt_rn(0.0F)) == 0x7F800000);
  CHECK(bits_of(rsqrt_rn(-0.0F)) == 0xFF800000);
  CHECK(bits_of(rsqrt_rn(float_of(0x7F800000))) == 0x00000000);
  CHECK(bits_of(rsqrt_rn(float_of(0xFF800000))) == 0x7FFFFFFF);
  CHECK(bits_of(rsqrt_rn(-1.0F)) == 0x7FFFFFFF);
  CHECK(bits_of(rsqrt_rn(float_of(0xFFC00123))) == 0x7FFFFFFF);
}

}  // namespace allnorm::reference
