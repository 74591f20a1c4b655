// What a fuzzer is: a parser of text that nobody trusts, and where to begin. The driver runs one; so does libFuzzer.
#ifndef ALLNORM_TESTS_FUZZ_TARGET_H_
#define ALLNORM_TESTS_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

/// Parses the bytes, and checks what must hold of the result. Aborts if it does not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace allnorm::fuzz {

/// Inputs that parse, made by this version of the code.
std::vector<std::string> seeds();
/// What to insert: words and values that the parser looks for.
std::vector<std::string> tokens();

/// How many inputs were taken for what they claim to be. The target counts.
inline std::uint64_t accepted = 0;

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace allnorm::fuzz

#endif  // ALLNORM_TESTS_FUZZ_TARGET_H_
