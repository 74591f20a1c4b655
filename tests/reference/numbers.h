// Bit-exact scalar conversions between f32 and the narrow formats, and a correctly rounded rsqrt.
//
// All encoders round to nearest even and keep subnormals and the sign of zero. f16 and bf16
// overflow to infinity; e4m3 and e2m1 saturate (infinities too). Every NaN becomes the canonical
// one: 7FFFFFFF (f32), 7FFF (f16, bf16), 7F (e4m3); e2m1 has no NaN and gives 7 (+6), as the
// hardware does. Decoders are exact; of a NaN they give some NaN, whose payload nobody may depend
// on.
//
// Every bit is decided in integer arithmetic, so that no compiler flag and no CPU changes one. It
// is inline because the reference converts hundreds of millions of numbers a test.
#ifndef ALLNORM_TESTS_REFERENCE_NUMBERS_H_
#define ALLNORM_TESTS_REFERENCE_NUMBERS_H_

#include <bit>
#include <cstdint>

namespace allnorm::reference {

inline constexpr std::uint32_t kNanF32 = 0x7FFFFFFF;
inline constexpr std::uint16_t kNanF16 = 0x7FFF;
inline constexpr std::uint16_t kNanBf16 = 0x7FFF;
inline constexpr std::uint8_t kNanE4m3 = 0x7F;
inline constexpr std::uint8_t kNanE2m1 = 0x7;

constexpr std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }
constexpr float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }

/// True for every NaN and nothing else; `magnitude` is the bits of an f32 without its sign.
constexpr bool is_nan_magnitude(std::uint32_t magnitude) { return magnitude > 0x7F800000; }
constexpr bool is_nan(float x) { return is_nan_magnitude(bits_of(x) & 0x7FFFFFFF); }

/// The bits of x as they are stored: NaNs canonical, all else unchanged.
constexpr std::uint32_t stored_bits(float x) { return is_nan(x) ? kNanF32 : bits_of(x); }

namespace detail {

/// value / 2^shift, to nearest even. 1 <= shift; the value is below 2^31.
constexpr std::uint32_t shift_to_nearest_even(std::uint32_t value, std::uint32_t shift) {
  if (shift > 31) return 0;
  const std::uint32_t kept_odd = (value >> shift) & 1;
  return (value + (1U << (shift - 1)) - 1 + kept_odd) >> shift;
}

/// The magnitude (bits of a finite f32 without sign) in a format with that many mantissa bits and
/// that exponent bias, which counts on upwards as if its exponent field had no end: the caller
/// saturates.
template <int kMantissaBits, int kBias>
constexpr std::uint32_t encode_magnitude(std::uint32_t magnitude) {
  constexpr std::uint32_t kDropped = 23 - kMantissaBits;
  constexpr std::uint32_t kBiasChange = 127 - kBias;
  const std::uint32_t exponent = magnitude >> 23;
  if (exponent > kBiasChange) {
    return shift_to_nearest_even(magnitude - (kBiasChange << 23), kDropped);
  }
  // Subnormal in the narrow format: the significand with its leading one, in units of the smallest
  // subnormal. (An f32 subnormal has no leading one, and is far below half a unit anyway.)
  const std::uint32_t significand = (magnitude & 0x7FFFFF) | 0x800000;
  return shift_to_nearest_even(significand, kDropped + kBiasChange + 1 - exponent);
}

/// The inverse, for a code without sign that stands for a finite number.
template <int kMantissaBits, int kBias>
constexpr std::uint32_t decode_magnitude(std::uint32_t code) {
  constexpr std::uint32_t kAdded = 23 - kMantissaBits;
  constexpr std::uint32_t kBiasChange = 127 - kBias;
  if (code >> kMantissaBits != 0) return (code << kAdded) + (kBiasChange << 23);
  if (code == 0) return 0;
  const auto leading_zeros =
      static_cast<std::uint32_t>(std::countl_zero(code)) - (31 - kMantissaBits);
  return ((code << (leading_zeros + kAdded)) & 0x7FFFFF) |
         ((kBiasChange + 1 - leading_zeros) << 23);
}

}  // namespace detail

inline std::uint16_t f32_to_f16(float x) {
  const std::uint32_t magnitude = bits_of(x) & 0x7FFFFFFF;
  if (is_nan_magnitude(magnitude)) return kNanF16;
  const std::uint32_t sign = bits_of(x) >> 31 << 15;
  if (magnitude >= 0x47800000) return static_cast<std::uint16_t>(sign | 0x7C00);  // 2^16 and above
  return static_cast<std::uint16_t>(sign | detail::encode_magnitude<10, 15>(magnitude));
}

inline std::uint16_t f32_to_bf16(float x) {
  const std::uint32_t bits = bits_of(x);
  if (is_nan(x)) return kNanBf16;
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

inline std::uint8_t f32_to_e4m3(float x) {
  const std::uint32_t magnitude = bits_of(x) & 0x7FFFFFFF;
  if (is_nan_magnitude(magnitude)) return kNanE4m3;
  const std::uint32_t sign = bits_of(x) >> 31 << 7;
  if (magnitude >= 0x43E00000) return static_cast<std::uint8_t>(sign | 0x7E);  // 448 and above
  return static_cast<std::uint8_t>(sign | detail::encode_magnitude<3, 7>(magnitude));
}

/// The code is in the low nibble.
inline std::uint8_t f32_to_e2m1(float x) {
  const std::uint32_t magnitude = bits_of(x) & 0x7FFFFFFF;
  if (is_nan_magnitude(magnitude)) return kNanE2m1;
  const std::uint32_t sign = bits_of(x) >> 31 << 3;
  if (magnitude >= 0x40C00000) return static_cast<std::uint8_t>(sign | 0x7);  // 6 and above
  return static_cast<std::uint8_t>(sign | detail::encode_magnitude<1, 1>(magnitude));
}

inline float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t code = bits & 0x7FFF;
  if (code > 0x7C00) return float_of(kNanF32);
  if (code == 0x7C00) return float_of(sign | 0x7F800000);
  return float_of(sign | detail::decode_magnitude<10, 15>(code));
}

inline float bf16_to_f32(std::uint16_t bits) {
  return float_of(static_cast<std::uint32_t>(bits) << 16);
}

inline float e4m3_to_f32(std::uint8_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x80) << 24;
  const std::uint32_t code = bits & 0x7F;
  if (code == 0x7F) return float_of(kNanF32);
  return float_of(sign | detail::decode_magnitude<3, 7>(code));
}

/// Reads the low nibble; the high one is ignored.
inline float e2m1_to_f32(std::uint8_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8) << 28;
  return float_of(sign | detail::decode_magnitude<1, 1>(bits & 0x7));
}

/// 1 / sqrt(x), correctly rounded to f32. +0 gives +inf, -0 gives -inf, +inf gives +0; a NaN and
/// anything below zero give the canonical NaN.
float rsqrt_rn(float x);

}  // namespace allnorm::reference

#endif  // ALLNORM_TESTS_REFERENCE_NUMBERS_H_
