#include "reference/patterns.h"

#include <cstddef>
#include <stdexcept>

#include "reference/numbers.h"
#include "reference/rows.h"

namespace allnorm::reference {
namespace {

constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15;
constexpr std::uint64_t kRowStep = 0xD1B54A32D192ED03;

constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

/// `count` bits of the hash from `first` on. Fields of one element may overlap where it does no
/// harm.
constexpr std::uint32_t field(std::uint64_t h, int first, int count) {
  return static_cast<std::uint32_t>(h >> first) & ((1U << count) - 1);
}

/// Where a dtype has its parts; a word is sign, exponent, mantissa from the top.
template <DataType kDtype>
struct Format;
template <>
struct Format<DataType::kF32> {
  using Word = std::uint32_t;
  static constexpr int kMantissa = 23;
  static constexpr std::uint32_t kExponents = 255, kBias = 127;
  static Word round(float x) { return stored_bits(x); }
};
template <>
struct Format<DataType::kF16> {
  using Word = std::uint16_t;
  static constexpr int kMantissa = 10;
  static constexpr std::uint32_t kExponents = 31, kBias = 15;
  static Word round(float x) { return f32_to_f16(x); }
};
template <>
struct Format<DataType::kBF16> {
  using Word = std::uint16_t;
  static constexpr int kMantissa = 7;
  static constexpr std::uint32_t kExponents = 255, kBias = 127;
  static Word round(float x) { return f32_to_bf16(x); }
};

template <DataType kDtype>
class Generator {
 public:
  using F = Format<kDtype>;
  using Word = typename F::Word;

  static Word bits(Pattern pattern, std::uint64_t row, std::uint64_t h) {
    switch (pattern) {
      case Pattern::kRandom:
        return normal(h);
      case Pattern::kNegativeZeroSubnormal:
        return zero_or_subnormal(h);
      case Pattern::kInfinityNan:
        return row % 4 == 1 || field(h, 0, 6) != 0 ? normal(h) : infinity_or_nan(row % 4, h);
      case Pattern::kOverflowF16:
        return row % 4 == 3 && field(h, 0, 6) != 0 ? normal(h) : large(row % 4, h);
      case Pattern::kTiny:
        return tiny(h);
      default:
        return static_cast<Word>(h >> 32);
    }
  }

 private:
  static Word normal(std::uint64_t h) {
    const auto sum =
        static_cast<std::int32_t>(field(h, 0, 21) + field(h, 21, 21) + field(h, 42, 21));
    const float value = static_cast<float>(sum - 3 * (1 << 20)) * 0x1p-20F;   // exact
    const float factor = float_of(0x3F800000 | field(h, 32, 23)) * 0.65625F;  // up to 1.3125
    return F::round(value * factor);
  }

  static Word word(std::uint32_t negative, std::uint32_t exponent, std::uint32_t mantissa) {
    constexpr int kSignBit = static_cast<int>(sizeof(Word)) * 8 - 1;
    return static_cast<Word>(negative << kSignBit | exponent << F::kMantissa | mantissa);
  }

  static std::uint32_t mantissa(std::uint64_t h) { return field(h, 16, F::kMantissa); }
  static std::uint32_t sign(std::uint64_t h) { return field(h, 63, 1); }

  /// Of eight: two -0, one +0, three subnormals, one of the four smallest normal exponents, one
  /// normal.
  static Word zero_or_subnormal(std::uint64_t h) {
    switch (field(h, 0, 3)) {
      case 0:
      case 1:
        return word(1, 0, 0);
      case 2:
        return word(0, 0, 0);
      case 3:
        return word(sign(h), 1 + field(h, 8, 2), mantissa(h));
      case 4:
        return normal(h);
      default:
        return word(sign(h), 0, mantissa(h));
    }
  }

  static Word infinity_or_nan(std::uint64_t kind, std::uint64_t h) {
    if (kind == 2) return word(0, F::kExponents, 0);
    if (kind == 3 || field(h, 8, 1) == 0) return word(sign(h), F::kExponents, 0);
    // The lowest bit keeps the mantissa from being that of an infinity; quiet and signalling NaNs.
    return word(sign(h), F::kExponents, mantissa(h) | 1);
  }

  static Word large(std::uint64_t kind, std::uint64_t h) {
    constexpr std::uint32_t kLargest = F::kExponents - 1;
    const std::uint32_t negative = kind == 0 ? 0 : sign(h);
    if (kind == 2 && F::kExponents == 255) {
      return word(negative, F::kBias + 64 + field(h, 8, 3), mantissa(h));  // 2^64 to 2^72
    }
    if (kind == 0) return word(negative, kLargest, mantissa(h));
    return word(negative, kLargest - field(h, 8, 2), mantissa(h));
  }

  static Word tiny(std::uint64_t h) {
    if (F::kExponents == 31) return word(sign(h), field(h, 8, 2), mantissa(h));
    return word(sign(h), F::kBias - 77 + field(h, 8, 4), mantissa(h));  // 2^-77 to 2^-61
  }
};

template <DataType kDtype>
void fill_matrix(Pattern pattern, std::uint64_t stream, void* data, std::uint64_t rows,
                 std::uint64_t columns, std::uint64_t first_row) {
  for (std::uint64_t i = 0; i < rows; ++i) {
    const std::uint64_t row = first_row + i;
    const std::uint64_t row_key = mix(stream + kRowStep * (row + 1));
    for (std::uint64_t column = 0; column < columns; ++column) {
      const std::uint64_t h = mix(row_key + kStep * (column + 1));
      store(data, i * columns + column, Generator<kDtype>::bits(pattern, row, h));
    }
  }
}

}  // namespace

const char* to_string(Pattern pattern) {
  switch (pattern) {
    case Pattern::kRandom:
      return "random";
    case Pattern::kNegativeZeroSubnormal:
      return "negative_zero_subnormal";
    case Pattern::kInfinityNan:
      return "infinity_nan";
    case Pattern::kOverflowF16:
      return "overflow_f16";
    case Pattern::kTiny:
      return "tiny";
    case Pattern::kRawBits:
      return "raw_bits";
  }
  return "?";
}

void fill(Pattern pattern, DataType dtype, std::uint64_t seed, int rank, void* data,
          std::int64_t rows, std::int64_t columns, std::int64_t first_row) {
  const auto which = static_cast<std::uint64_t>(pattern) + 8 * static_cast<std::uint64_t>(dtype) +
                     64 * static_cast<std::uint64_t>(rank);
  const std::uint64_t stream = mix(seed + kStep * (1 + which));
  const auto r = static_cast<std::uint64_t>(rows);
  const auto c = static_cast<std::uint64_t>(columns);
  const auto f = static_cast<std::uint64_t>(first_row);
  switch (dtype) {
    case DataType::kF32:
      return fill_matrix<DataType::kF32>(pattern, stream, data, r, c, f);
    case DataType::kF16:
      return fill_matrix<DataType::kF16>(pattern, stream, data, r, c, f);
    case DataType::kBF16:
      return fill_matrix<DataType::kBF16>(pattern, stream, data, r, c, f);
    default:
      throw std::invalid_argument("patterns exist for f32, f16 and bf16");
  }
}

}  // namespace allnorm::reference
