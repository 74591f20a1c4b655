// The arithmetic of the target `host`, as kernels have it: rounded as a GPU rounds, NaNs canonical.
//
// Conversions are those of number_formats.cuh, which test_numbers.cc compares with the toolkit; here they are compared
// in the pairs that kernels use. exhaustive_numbers.cc proves rsqrt_rn on all inputs.
#include <cstdint>
#include <random>
#include <vector>

#include "catch.h"
#include "kernels_src/device_ops_host.cuh"
#include "reference/numbers.h"

namespace {

namespace kernel = allnorm_kernel;
namespace reference = allnorm::reference;
using reference::bits_of;
using reference::float_of;

/// Around every power of two, every mantissa of the top 12 bits, subnormals, and random bits.
const std::vector<std::uint32_t>& sample() {
  static const std::vector<std::uint32_t> bits = [] {
    std::vector<std::uint32_t> list;
    for (std::uint32_t exponent = 0; exponent < 512; exponent++) {  // with the sign
      for (std::uint32_t top = 0; top < 256; top++) {
        for (const std::uint32_t low : {0u, 1u, 0x3FFFu, 0x4000u, 0x4001u, 0x7FFFu}) {
          list.push_back(exponent << 23 | top << 15 | low);
        }
      }
    }
    for (std::uint32_t subnormal = 0; subnormal < 1 << 16; subnormal++) list.push_back(subnormal);
    std::mt19937 random(2026);
    for (int i = 0; i < 1'000'000; i++) list.push_back(static_cast<std::uint32_t>(random()));
    return list;
  }();
  return bits;
}

template <typename Holds>
void check_all(Holds holds) {
  std::uint64_t wrong = 0;
  std::uint32_t example = 0;
  for (const std::uint32_t x : sample()) {
    if (holds(x)) continue;
    if (wrong++ == 0) example = x;
  }
  INFO("first wrong input, as bits: " << std::hex << example);
  CHECK(wrong == 0);
}

constexpr std::uint32_t kNans[] = {0x7F800001u, 0x7FC00000u, 0xFF800001u, 0xFFFFFFFFu};

}  // namespace

TEST_CASE("rsqrt_rn on host is correctly rounded") {
  check_all([](std::uint32_t x) {
    return bits_of(kernel::rsqrt_rn(float_of(x))) == bits_of(reference::rsqrt_rn(float_of(x)));
  });
  // By hand: powers of four, the ends of the range, what has no root.
  CHECK(kernel::rsqrt_rn(0.25f) == 2.0f);
  CHECK(bits_of(kernel::rsqrt_rn(float_of(0x00000001))) == 0x64B504F3);  // 2^74.5
  CHECK(bits_of(kernel::rsqrt_rn(float_of(0x3F7FFFFF))) == 0x3F800000);
  CHECK(bits_of(kernel::rsqrt_rn(float_of(0x3F800001))) == 0x3F7FFFFF);
  CHECK(bits_of(kernel::rsqrt_rn(0.0f)) == 0x7F800000);
  CHECK(bits_of(kernel::rsqrt_rn(-0.0f)) == 0xFF800000);
  CHECK(bits_of(kernel::rsqrt_rn(float_of(0x7F800000))) == 0);
  CHECK(bits_of(kernel::rsqrt_rn(-1.0f)) == 0x7FFFFFFF);
}

TEST_CASE("every NaN that arithmetic on host gives is canonical") {
  const float infinity = float_of(0x7F800000);
  for (const std::uint32_t bits : kNans) {
    const float nan = float_of(bits);
    CHECK(bits_of(kernel::add_rn(nan, 1.0f)) == 0x7FFFFFFF);
    CHECK(bits_of(kernel::multiply_rn(1.0f, nan)) == 0x7FFFFFFF);
    CHECK(bits_of(kernel::divide_rn(nan, 2.0f)) == 0x7FFFFFFF);
    CHECK(bits_of(kernel::fma_rn(1.0f, 1.0f, nan)) == 0x7FFFFFFF);
    CHECK(bits_of(kernel::rsqrt_rn(nan)) == 0x7FFFFFFF);
  }
  CHECK(bits_of(kernel::add_rn(infinity, -infinity)) == 0x7FFFFFFF);
  CHECK(bits_of(kernel::multiply_rn(infinity, 0.0f)) == 0x7FFFFFFF);
  CHECK(bits_of(kernel::divide_rn(0.0f, 0.0f)) == 0x7FFFFFFF);
  CHECK(bits_of(kernel::fma_rn(infinity, 1.0f, -infinity)) == 0x7FFFFFFF);
}

TEST_CASE("fma_rn on host rounds once, products and sums are not contracted, subnormals stay") {
  // The square of 1 + 2^-12 is 1 + 2^-11 + 2^-24, the middle of two floats.
  const float a = float_of(0x3F800800);
  const float tiny = float_of(0x00000001);
  CHECK(bits_of(kernel::fma_rn(a, a, tiny)) == 0x3F801001);
  CHECK(bits_of(kernel::fma_rn(a, a, -tiny)) == 0x3F801000);
  CHECK(bits_of(kernel::add_rn(kernel::multiply_rn(a, a), tiny)) == 0x3F801000);
  CHECK(bits_of(kernel::add_rn(kernel::multiply_rn(a, a), -1.0f)) == 0x3A000000);  // fused: 3A000200
  CHECK(bits_of(kernel::add_rn(tiny, tiny)) == 0x00000002);
  CHECK(bits_of(kernel::multiply_rn(float_of(0x00800000), 0.5f)) == 0x00400000);
  CHECK(bits_of(kernel::divide_rn(1.0f, 3.0f)) == 0x3EAAAAAB);
}

TEST_CASE("conversions on host are the reference's, the first of a pair in the low half") {
  const float other = -1.5f;
  check_all([&](std::uint32_t bits) {
    const float x = float_of(bits);
    const std::uint32_t f16 = reference::f32_to_f16(x), bf16 = reference::f32_to_bf16(x);
    const std::uint32_t e4m3 = reference::f32_to_e4m3(x), e2m1 = reference::f32_to_e2m1(x);
    return kernel::f32_to_f16x2(x, other) == (f16 | std::uint32_t{reference::f32_to_f16(other)} << 16) &&
           kernel::f32_to_f16x2(other, x) == (f16 << 16 | reference::f32_to_f16(other)) &&
           kernel::f32_to_bf16x2(x, other) == (bf16 | std::uint32_t{reference::f32_to_bf16(other)} << 16) &&
           kernel::f32_to_bf16x2(other, x) == (bf16 << 16 | reference::f32_to_bf16(other)) &&
           kernel::f32_to_e4m3x2(x, other) == (e4m3 | std::uint32_t{reference::f32_to_e4m3(other)} << 8) &&
           kernel::f32_to_e4m3x2(other, x) == (e4m3 << 8 | reference::f32_to_e4m3(other)) &&
           kernel::f32_to_e2m1({x, other, other, x}) == (e2m1 * 0x1001U | reference::f32_to_e2m1(other) * 0x110U);
  });
  int wrong = 0;
  for (std::uint32_t code = 0; code < 65536; code++) {
    const auto bits = static_cast<std::uint16_t>(code);
    const auto stored = [](float value) { return reference::stored_bits(value); };
    // Each code once as the low and once as the high element.
    const std::uint32_t word = code << 16 | (code * 0x9E37u & 0xFFFFu);
    const auto low = static_cast<std::uint16_t>(word);
    if (stored(kernel::f16x2_to_f32(word).low) != stored(reference::f16_to_f32(low))) wrong++;
    if (stored(kernel::f16x2_to_f32(word).high) != stored(reference::f16_to_f32(bits))) wrong++;
    if (stored(kernel::bf16x2_to_f32(word).low) != stored(reference::bf16_to_f32(low))) wrong++;
    if (stored(kernel::bf16x2_to_f32(word).high) != stored(reference::bf16_to_f32(bits))) wrong++;
    if (code >= 256) continue;
    const auto byte = static_cast<std::uint8_t>(code);
    if (stored(kernel::e4m3_to_f32(byte)) != stored(reference::e4m3_to_f32(byte))) wrong++;
  }
  CHECK(wrong == 0);
}
