// Proves the conversions on all 2^32 f32 inputs: every implementation, every direction, against the
// CUDA toolkit; and rsqrt_rn on every f32. Too long for each build; run it when a
// conversion changes.
//
//   exhaustive_numbers [threads]
//
// Prints a line a proof with the number of inputs and of mismatches; exits with 1 if there are any.
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "kernels_src/device_ops_host.cuh"
#include "reference/conversions.h"

namespace allnorm::reference {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 24;

struct Tally {
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> mismatches{0};
  std::atomic<std::uint32_t> example{0};
};

/// Counts the inputs in [0, end) for which `holds` is false, on `threads` threads. Returns whether
/// it holds for all.
template <class Holds>
bool prove(const char* subject, const char* claim, std::uint64_t end, unsigned threads, Holds holds) {
  const auto start = std::chrono::steady_clock::now();
  Tally tally;
  const auto work = [&] {
    for (std::uint64_t first = tally.next.fetch_add(kPiece); first < end; first = tally.next.fetch_add(kPiece)) {
      const std::uint64_t last = first + kPiece < end ? first + kPiece : end;
      for (std::uint64_t x = first; x < last; ++x) {
        if (holds(static_cast<std::uint32_t>(x))) continue;
        if (tally.mismatches.fetch_add(1) == 0) tally.example = static_cast<std::uint32_t>(x);
      }
      std::fprintf(stderr, "\r%s, %s: %3d%%", subject, claim, static_cast<int>(last * 100 / end));
    }
  };
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
    work();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::fprintf(stderr, "\r");
  std::printf("%s, %s: %" PRIu64 " inputs, %" PRIu64 " mismatches, %.1f s\n", subject, claim, end,
              tally.mismatches.load(), took.count());
  if (tally.mismatches != 0) std::printf("  for example the bits %08x\n", tally.example.load());
  std::fflush(stdout);
  return tally.mismatches == 0;
}

template <class Implementation>
bool prove_conversions(unsigned threads) {
  const auto direction = [&]<class Direction>(Direction) {
    return prove(Implementation::kName, Direction::kName, std::uint64_t{1} << 32, threads,
                 [](std::uint32_t x) { return equals_toolkit<Direction, Implementation>(x); });
  };
  bool all = direction(ToF16{});
  all &= direction(ToBf16{});
  all &= direction(ToE4m3{});
  all &= direction(ToE2m1{});
  return all;
}

}  // namespace
}  // namespace allnorm::reference

int main(int argc, char** argv) {
  using namespace allnorm::reference;
  const int asked = argc > 1 ? std::atoi(argv[1]) : 0;
  const unsigned threads = asked > 0 ? static_cast<unsigned>(asked) : std::thread::hardware_concurrency();
  bool all = prove_conversions<Reference>(threads);
#if ALLNORM_HAS_KERNEL_CONVERSIONS
  all &= prove_conversions<Kernel>(threads);
#endif
  all &= prove("reference", "rsqrt of every positive f32", 0x7F800000, threads, [](std::uint32_t x) {
    return x == 0 || bits_of(rsqrt_rn(float_of(x))) == rsqrt_by_long_double(float_of(x));
  });
  // By the reference, which the line above has proved, with what is not positive too.
  all &= prove("host", "rsqrt of every f32", std::uint64_t{1} << 32, threads, [](std::uint32_t x) {
    return bits_of(allnorm_kernel::rsqrt_rn(float_of(x))) == bits_of(rsqrt_rn(float_of(x)));
  });
  return all ? 0 : 1;
}
