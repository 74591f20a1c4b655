#include "reference/numbers.h"

#include <cmath>

namespace allnorm::reference {
namespace {

/// True if 1 / sqrt(x) lies above the middle between the positive normal `lower` and the next
/// float. Exact: with the middle = m * 2^e and x = s * 2^f, in integers, it asks whether m^2 * s *
/// 2^(2e + f) is below 1. It is never equal: m is odd and above 1, so the product is no power of
/// two.
bool lies_above_middle(std::uint32_t lower, std::uint32_t x) {
  const int x_exponent = static_cast<int>(x >> 23);
  const std::uint64_t s = x_exponent == 0 ? x : ((x & 0x7FFFFF) | 0x800000);
  const int f = (x_exponent == 0 ? 1 : x_exponent) - 150;
  const std::uint64_t m = 2 * std::uint64_t{(lower & 0x7FFFFF) | 0x800000} + 1;  // 25 bits
  const int e = static_cast<int>(lower >> 23) - 150 - 1;
  const auto product = static_cast<unsigned __int128>(m * m) * s;  // 74 bits at most
  const int one = -(2 * e + f);                                    // 1 is 2^one in the same units
  if (one < 0) return false;
  if (one > 100) return true;
  return product < static_cast<unsigned __int128>(1) << one;
}

}  // namespace

float rsqrt_rn(float x) {
  const std::uint32_t bits = bits_of(x);
  if (is_nan(x)) return float_of(kNanF32);
  if ((bits & 0x7FFFFFFF) == 0) return float_of(bits | 0x7F800000);
  if (bits >> 31 != 0) return float_of(kNanF32);
  if (bits == 0x7F800000) return 0.0F;
  // An estimate that is off by a unit at most; the result is always a normal number (2^-64 to
  // 2^74.5).
  std::uint32_t result = bits_of(static_cast<float>(1.0 / std::sqrt(static_cast<double>(x))));
  while (lies_above_middle(result, bits)) ++result;
  while (!lies_above_middle(result - 1, bits)) --result;
  return float_of(result);
}

}  // namespace allnorm::reference
