// The inputs of a case, as a list of matrices to fill: on the host, or by a kernel of the GPU tests.
#ifndef ALLNORM_TESTS_CALLS_FILL_JOB_H_
#define ALLNORM_TESTS_CALLS_FILL_JOB_H_

#include <cstdint>

namespace allnorm::calls {

/// A matrix to fill by the formula of reference/patterns.h, or with kConstantWord.
struct FillJob {
  void* data = nullptr;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::uint64_t first_row = 0;
  std::uint64_t seed = 0;
  std::uint32_t pattern = 0;
  std::uint32_t dtype = 0;
  std::uint32_t rank = 0;
  std::uint32_t per_replay = 0;  ///< The seed is replay_seed(seed, *replay).
};

/// A FillJob::pattern: every f32 is the low word of the seed.
inline constexpr std::uint32_t kConstantWord = 100;

constexpr std::uint64_t replay_seed(std::uint64_t seed, std::uint64_t replay) {
  return seed + replay * 0xA24BAED4963EE407;
}

/// What the kernel does, with `data` in memory of the host: writes `bytes_of` bytes there. Not per_replay.
void fill_on_host(const FillJob& job, void* data);
std::size_t bytes_of(const FillJob& job);

}  // namespace allnorm::calls

#endif  // ALLNORM_TESTS_CALLS_FILL_JOB_H_
