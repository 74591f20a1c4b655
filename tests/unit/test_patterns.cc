// The inputs that the tests are fed with hold what their names promise, and depend on nothing else.
#include <cmath>
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
constexpr std::int64_t kRows = 8, kColumns = 4096;

Bytes pattern_bytes(Pattern pattern, DataType dtype, std::uint64_t seed = 1, int rank = 0) {
  Bytes bytes(kRows * kColumns * size_of(dtype));
  fill(pattern, dtype, seed, rank, bytes.data(), kRows, kColumns);
  return bytes;
}

std::vector<float> values(Pattern pattern, DataType dtype, int rank = 0) {
  std::vector<float> numbers(kRows * kColumns);
  widen(dtype, pattern_bytes(pattern, dtype, 1, rank).data(), 0, numbers);
  return numbers;
}

/// How many numbers of a row (or with -1, of all) a predicate holds for.
template <class Predicate>
int count(const std::vector<float>& numbers, std::int64_t row, Predicate holds) {
  int n = 0;
  for (std::int64_t i = 0; i < kRows * kColumns; ++i) {
    if ((row < 0 || i / kColumns == row) && holds(numbers[static_cast<std::size_t>(i)])) ++n;
  }
  return n;
}

bool is_infinite(float x) { return std::isinf(x); }
bool is_negative(float x) { return std::signbit(x); }

}  // namespace

TEST_CASE("a part of a pattern has the bits of the whole", "[patterns]") {
  for (const DataType dtype : kDtypes) {
    for (int p = 0; p < kPatterns; ++p) {
      const Bytes whole = pattern_bytes(static_cast<Pattern>(p), dtype);
      Bytes parts(whole.size());
      const std::size_t row = kColumns * size_of(dtype);
      fill(static_cast<Pattern>(p), dtype, 1, 0, parts.data(), 3, kColumns);
      fill(static_cast<Pattern>(p), dtype, 1, 0, parts.data() + 3 * row, kRows - 3, kColumns, 3);
      CHECK(whole == parts);
      CHECK(whole != pattern_bytes(static_cast<Pattern>(p), dtype, 2));
      CHECK(whole != pattern_bytes(static_cast<Pattern>(p), dtype, 1, 1));
    }
  }
}

TEST_CASE("patterns never change", "[patterns]") {
  // A kernel may make the same data from the formula in the header: these bits hold both to it.
  const auto third = [](Pattern pattern) {
    std::uint32_t words[3];
    fill(pattern, DataType::kF32, 1, 2, words, 1, 3, 5);
    return words[2];
  };
  CHECK(third(Pattern::kRandom) == 0x4024933A);
  CHECK(third(Pattern::kRawBits) == 0x8BE841DE);
}

TEST_CASE("random numbers are centred, with standard deviation 1", "[patterns]") {
  for (const DataType dtype : kDtypes) {
    double sum = 0, squares = 0;
    for (const float x : values(Pattern::kRandom, dtype)) {
      sum += x;
      squares += static_cast<double>(x) * x;
      if (!(std::fabs(x) < 4.0F)) FAIL("out of range: " << x);
    }
    CHECK(std::fabs(sum / (kRows * kColumns)) < 0.03);
    CHECK(std::fabs(std::sqrt(squares / (kRows * kColumns)) - 1.0) < 0.02);
  }
}

TEST_CASE("a third of the zeros and subnormals are -0, and all have subnormals", "[patterns]") {
  for (const DataType dtype : kDtypes) {
    const std::vector<float> numbers = values(Pattern::kNegativeZeroSubnormal, dtype);
    const float smallest_normal = dtype == DataType::kF16 ? 0x1p-14F : 0x1p-126F;
    CHECK(count(numbers, -1, [](float x) { return bits_of(x) == 0x80000000; }) > 7000);
    CHECK(count(numbers, -1, [](float x) { return bits_of(x) == 0; }) > 3000);
    CHECK(count(numbers, -1, [&](float x) { return x != 0 && std::fabs(x) < smallest_normal; }) >
          10000);
    CHECK(count(numbers, -1, [](float x) { return std::fabs(x) > 0.5F; }) > 1000);
  }
}

TEST_CASE("infinities and NaNs come in the rows that are said", "[patterns]") {
  for (const DataType dtype : kDtypes) {
    const std::vector<float> numbers = values(Pattern::kInfinityNan, dtype);
    CHECK(count(numbers, 0, is_nan) > 10);
    CHECK(count(numbers, 0, is_infinite) > 10);
    CHECK(count(numbers, 1, is_nan) + count(numbers, 1, is_infinite) == 0);
    CHECK(count(numbers, 2, is_nan) == 0);
    CHECK(count(numbers, 2, is_infinite) > 30);
    CHECK(count(numbers, 2, [](float x) { return is_infinite(x) && x < 0; }) == 0);
    CHECK(count(numbers, 3, is_nan) == 0);
    CHECK(count(numbers, 3, [](float x) { return is_infinite(x) && x < 0; }) > 10);
    CHECK(count(numbers, 3, is_infinite) < 100);
  }
}

TEST_CASE("large rows overflow the sum, or the squares", "[patterns]") {
  for (const DataType dtype : kDtypes) {
    const std::vector<float> a = values(Pattern::kOverflowF16, dtype);
    const std::vector<float> b = values(Pattern::kOverflowF16, dtype, 1);
    const float largest = dtype == DataType::kF16 ? 65504.0F : 0x1.fffffep127F;
    for (std::size_t i = 0; i < kColumns; ++i) {
      if (a[i] < 0 || std::isinf(a[i]) || a[i] + b[i] <= largest) FAIL("no overflow in row 0");
    }
    CHECK(count(a, 1, is_negative) > 1500);
    CHECK(count(a, 1, is_negative) < 2600);
    CHECK(count(a, -1, is_infinite) + count(a, -1, is_nan) == 0);
    CHECK(count(a, 3, [](float x) { return std::fabs(x) < 4.0F; }) > 3800);
    CHECK(count(a, 3, [](float x) { return std::fabs(x) > 1000.0F; }) > 30);
    if (dtype != DataType::kF16) {
      CHECK(count(a, 2, [](float x) { return std::isinf(x * x); }) == kColumns);
    }
  }
}

TEST_CASE("tiny numbers have tiny squares", "[patterns]") {
  for (const DataType dtype : kDtypes) {
    const std::vector<float> numbers = values(Pattern::kTiny, dtype);
    const float limit = dtype == DataType::kF16 ? 0x1p-11F : 0x1p-61F;
    CHECK(count(numbers, -1, [&](float x) { return std::fabs(x) < limit; }) == kRows * kColumns);
    CHECK(count(numbers, -1, is_negative) > 15000);
    if (dtype == DataType::kF16) continue;
    CHECK(count(numbers, -1, [](float x) { return x * x > 0 && x * x < 0x1p-126F; }) > 10000);
  }
}

TEST_CASE("raw bits have every exponent", "[patterns]") {
  for (const DataType dtype : {DataType::kF16, DataType::kBF16}) {
    const Bytes bytes = pattern_bytes(Pattern::kRawBits, dtype);
    std::vector<int> seen(1 << 9);
    const int shift = dtype == DataType::kF16 ? 10 : 7;
    for (std::size_t i = 0; i < kRows * kColumns; ++i) {
      ++seen[static_cast<std::size_t>(half_at(bytes, i) >> shift)];
    }
    const int exponents = dtype == DataType::kF16 ? 64 : 512;
    for (int e = 0; e < exponents; ++e) CHECK(seen[static_cast<std::size_t>(e)] > 0);
  }
}

}  // namespace allnorm::reference
