// Deterministic inputs for the tests: every element is a pure function of pattern, dtype, seed,
// rank, row and column, so that any part of a matrix can be made alone, by any number of threads,
// on any device, with the same bits.
//
// The formula, in 64-bit unsigned arithmetic:
//   mix(x):   x ^= x >> 30; x *= 0xBF58476D1CE4E5B9; x ^= x >> 27; x *= 0x94D049BB133111EB; x ^= x
//   >> 31 stream    = mix(seed + 0x9E3779B97F4A7C15 * (1 + pattern + 8 * dtype + 64 * rank))
//   row_key   = mix(stream + 0xD1B54A32D192ED03 * (row + 1))
//   h         = mix(row_key + 0x9E3779B97F4A7C15 * (column + 1))
// and from h by the pattern, with `field(a, n)` = (h >> a) mod 2^n:
//   normal    : i = field(0, 21) + field(21, 21) + field(42, 21) - 3 * 2^20, a sum of three
//   uniforms,
//               i * 2^-20 has variance 1 and lies within +-3;
//               times (1 + field(32, 23) * 2^-23) * 0.65625, one f32 product, which fills the
//               mantissa and scatters the exponents of sums; then RN_T.
//   the others: `Generator` in patterns.cc; fields of h put where sign, exponent and mantissa are.
#ifndef ALLNORM_TESTS_REFERENCE_PATTERNS_H_
#define ALLNORM_TESTS_REFERENCE_PATTERNS_H_

#include <cstdint>

#include "allnorm/types.h"

namespace allnorm::reference {

enum class Pattern : std::uint8_t {
  kRandom = 0,                 ///< Roughly normal, standard deviation 1.
  kNegativeZeroSubnormal = 1,  ///< Mostly -0, +0 and subnormals of the dtype, some normal numbers.
  /// kRandom with one special in 64. Rows 4i + 0: +-inf and NaNs of any sign and payload; 4i + 1:
  /// none; 4i + 2: only +inf; 4i + 3: +inf and -inf.
  kInfinityNan = 2,
  /// Rows 4i + 0: one sign, so large that the sum of two overflows f16, or f32 for the others;
  /// 4i + 1: the same, signs mixed; 4i + 2: signs mixed, squares overflow f32 (bf16, f32 only);
  /// 4i + 3: kRandom with one such number in 64.
  kOverflowF16 = 3,
  /// f16: subnormals and the smallest normals. bf16, f32: around 2^-70, where squares are
  /// subnormal.
  kTiny = 4,
  kRawBits = 5  ///< Uniformly random bits: all exponents, NaNs.
};

inline constexpr int kPatterns = 6;
const char* to_string(Pattern pattern);

/// Ranks that stand for the matrices that are not an input.
inline constexpr int kResidualRank = 1000;
inline constexpr int kGammaRank = 1001;

/// Writes [rows, columns] of dtype (f32, f16 or bf16). `first_row` is the number of data's first
/// row: a part of a matrix is filled with the bits that the whole would have.
void fill(Pattern pattern, DataType dtype, std::uint64_t seed, int rank, void* data,
          std::int64_t rows, std::int64_t columns, std::int64_t first_row = 0);

}  // namespace allnorm::reference

#endif  // ALLNORM_TESTS_REFERENCE_PATTERNS_H_
