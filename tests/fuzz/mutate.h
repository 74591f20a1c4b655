// Random edits of an input.
#ifndef ALLNORM_TESTS_FUZZ_MUTATE_H_
#define ALLNORM_TESTS_FUZZ_MUTATE_H_

#include <cstddef>
#include <random>
#include <span>
#include <string>

namespace allnorm::fuzz {

inline constexpr std::size_t kMaxInputBytes = 16384;

using Random = std::mt19937_64;

/// Less than `limit`, which is not 0.
inline std::size_t below(Random& random, std::size_t limit) { return static_cast<std::size_t>(random() % limit); }

/// A few edits: bits, bytes, numbers, pieces that go, move or come from another input, tokens, the end cut off.
std::string mutate(std::string bytes, std::span<const std::string> others, std::span<const std::string> tokens,
                   Random& random);

}  // namespace allnorm::fuzz

#endif  // ALLNORM_TESTS_FUZZ_MUTATE_H_
