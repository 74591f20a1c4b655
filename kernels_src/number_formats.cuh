// Number formats in software, bit for bit what the hardware conversions give: round to nearest even, canonical NaNs.
//
// Plain C++, no GPU needed: GPUs without an instruction for a format, the host target and the exhaustive tests all use
// these functions. A NaN becomes 7FFF (f16, bf16), 7F (e4m3) or +6 (e2m1, which has no NaN), whatever its sign.
#ifndef ALLNORM_KERNELS_NUMBER_FORMATS_CUH_
#define ALLNORM_KERNELS_NUMBER_FORMATS_CUH_

#ifndef ALLNORM_DEVICE
#define ALLNORM_DEVICE inline
#endif

namespace allnorm_kernel {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
static_assert(sizeof(u32) == 4 && sizeof(u64) == 8);

ALLNORM_DEVICE u32 float_bits(float value) { return __builtin_bit_cast(u32, value); }
ALLNORM_DEVICE float bits_float(u32 bits) { return __builtin_bit_cast(float, bits); }

inline constexpr u32 kF32Infinity = 0x7F800000u;
inline constexpr u32 kF32Magnitude = 0x7FFFFFFFu;

ALLNORM_DEVICE bool is_nan_bits(u32 bits) { return (bits & kF32Magnitude) > kF32Infinity; }

ALLNORM_DEVICE u16 f32_to_bf16_bits(float value) {
  const u32 bits = float_bits(value);
  if (is_nan_bits(bits)) return 0x7FFFu;
  return static_cast<u16>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

ALLNORM_DEVICE float bf16_bits_to_f32(u16 bits) { return bits_float(static_cast<u32>(bits) << 16); }

/// Of two elements in a word: `low` is the one at the lower address.
struct FloatPair {
  float low, high;
};

ALLNORM_DEVICE FloatPair bf16x2_to_f32(u32 word) { return {bits_float(word << 16), bits_float(word & 0xFFFF0000u)}; }

ALLNORM_DEVICE u16 f32_to_f16_bits(float value) {
  const u32 bits = float_bits(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & kF32Magnitude;
  if (magnitude > kF32Infinity) return 0x7FFFu;
  if (magnitude >= 0x477FF000u) return static_cast<u16>(sign | 0x7C00u);  // 65520 and more round to infinity
  if (magnitude < 0x38800000u) {
    // Below 2^-14 the step is 2^-24, the ulp of 0.5: one rounded addition does it.
    return static_cast<u16>(sign | (float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f)));
  }
  return static_cast<u16>(sign | ((magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13));
}

ALLNORM_DEVICE float f16_bits_to_f32(u16 bits) {
  const u32 sign = static_cast<u32>(bits & 0x8000u) << 16, magnitude = bits & 0x7FFFu;
  if (magnitude >= 0x7C00u) return bits_float(sign | kF32Infinity | ((magnitude & 0x3FFu) << 13));
  if (magnitude >= 0x400u) return bits_float(sign | ((magnitude << 13) + 0x38000000u));
  // A subnormal counts steps of 2^-24.
  return bits_float(sign | float_bits(static_cast<float>(magnitude) * 5.9604644775390625e-8f));
}

/// e4m3fn, saturating to +-448 (infinities too).
ALLNORM_DEVICE u8 f32_to_e4m3_bits(float value) {
  const u32 bits = float_bits(value), sign = (bits >> 24) & 0x80u, magnitude = bits & kF32Magnitude;
  if (magnitude > kF32Infinity) return 0x7Fu;
  if (magnitude >= 0x43E00000u) return static_cast<u8>(sign | 0x7Eu);  // 448
  if (magnitude < 0x3C800000u) {
    // Below 2^-6 the step is 2^-9, the ulp of 2^14.
    return static_cast<u8>(sign | (float_bits(bits_float(magnitude) + 16384.0f) - float_bits(16384.0f)));
  }
  return static_cast<u8>(sign | ((magnitude - 0x3C000000u + 0x7FFFFu + ((magnitude >> 20) & 1u)) >> 20));
}

ALLNORM_DEVICE float e4m3_bits_to_f32(u8 bits) {
  const u32 sign = static_cast<u32>(bits & 0x80u) << 24, magnitude = bits & 0x7Fu;
  if (magnitude == 0x7Fu) return bits_float(kF32Magnitude);
  if (magnitude >= 8u) return bits_float(sign | ((magnitude << 20) + 0x3C000000u));
  return bits_float(sign | float_bits(static_cast<float>(magnitude) * 0.001953125f));  // steps of 2^-9
}

inline constexpr u32 kE2M1Base = 0x4A800000u;  ///< The bits of 2^22; its low byte is 0.

/// kE2M1Base + the e2m1 code of a magnitude of at most 6: 0, 0.5, 1, 1.5, 2, 3, 4, 6.
///
/// Below 2 the codes count steps of 0.5, up to 4 steps of 1, then steps of 2. Added to the power of two that has such
/// an ulp, a magnitude is rounded to those steps; of the three counts, each as far on as where its range begins, the
/// least is the code.
ALLNORM_DEVICE u32 e2m1_of_magnitude(float magnitude) {
  constexpr u32 kOnes = 0x4B000000u, kTwos = 0x4B800000u;  // 2^23, 2^24
  u32 code = float_bits(magnitude + bits_float(kE2M1Base));
  const u32 ones = float_bits(magnitude + bits_float(kOnes)) - (kOnes - kE2M1Base - 2);
  const u32 twos = float_bits(magnitude + bits_float(kTwos)) - (kTwos - kE2M1Base - 4);
  if (ones < code) code = ones;
  if (twos < code) code = twos;
  return code;
}

/// e2m1 in the low nibble, saturating to +-6.
ALLNORM_DEVICE u8 f32_to_e2m1_bits(float value) {
  float clamped = value < 6.0f ? value : 6.0f;  // NaN, too
  clamped = clamped > -6.0f ? clamped : -6.0f;
  const u32 bits = float_bits(clamped);
  return static_cast<u8>(e2m1_of_magnitude(bits_float(bits & kF32Magnitude)) | (bits >> 28 & 0x8u));
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_NUMBER_FORMATS_CUH_
