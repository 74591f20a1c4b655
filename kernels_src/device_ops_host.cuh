// device_ops for the target `host`: each operation that is more than arithmetic is a call of the simulator.
//
// Compiled with -ffp-contract=off and without -march flags, so that each operation rounds as it does on a GPU; results
// that are NaN are made canonical, as a GPU makes them.
#ifndef ALLNORM_KERNELS_DEVICE_OPS_HOST_CUH_
#define ALLNORM_KERNELS_DEVICE_OPS_HOST_CUH_

#define ALLNORM_DEVICE inline
#define ALLNORM_SHARED(type, name) \
  type& name = *static_cast<type*>(allnorm_host_ops->shared_memory(sizeof(type), {__FILE__, __LINE__}))
#define ALLNORM_EXPORTED extern "C" __attribute__((visibility("default")))
#define ALLNORM_KERNEL(threads, ctas_per_multiprocessor) ALLNORM_EXPORTED void
#define ALLNORM_GRID_CONSTANT(type) const type&

// Default arguments, so that they are the caller's.
#define ALLNORM_AT const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define ALLNORM_HERE \
  SourceLine { file, static_cast<u32>(line) }

#include "host_ops.cuh"

/// Set by whoever loads the library, after a look at the version.
ALLNORM_EXPORTED const allnorm_kernel::HostOps* allnorm_host_ops;
const allnorm_kernel::HostOps* allnorm_host_ops = nullptr;
ALLNORM_EXPORTED const unsigned allnorm_host_ops_version;
const unsigned allnorm_host_ops_version = allnorm_kernel::kHostOpsVersion;

namespace allnorm_kernel {

// As for sm_90a, so that the same kernels are simulated.
enum : bool { kAllowsLean = true };
enum : u32 { kThreadsPerMultiprocessor = 2048 };

/// 16 bytes: a vector of a row, or a part of one.
struct alignas(16) Words4 {
  u32 x, y, z, w;
};
struct alignas(8) Words2 {
  u32 x, y;
};

// --- indices ---------------------------------------------------------------------------------------------------------

ALLNORM_DEVICE u32 thread_in_cta() { return allnorm_host_ops->thread_in_cta(); }
ALLNORM_DEVICE u32 cta_in_grid() { return allnorm_host_ops->cta_in_grid(); }
ALLNORM_DEVICE u32 ctas_in_grid() { return allnorm_host_ops->ctas_in_grid(); }

// --- memory of one GPU -----------------------------------------------------------------------------------------------

ALLNORM_DEVICE Words4 load_input(const Words4* from, ALLNORM_AT) {
  Words4 v;
  allnorm_host_ops->load(&v, from, 4, 4, Access::kWeak, ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE float load_input(const float* from, ALLNORM_AT) {
  float v;
  allnorm_host_ops->load(&v, from, 1, 4, Access::kWeak, ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE Words4 load_input_early(const Words4* from, ALLNORM_AT) { return load_input(from, file, line); }
template <typename T>
ALLNORM_DEVICE void store_output(T* to, T value, ALLNORM_AT) {
  constexpr u32 kElements = sizeof(T) <= 4 ? 1 : sizeof(T) / 4;
  allnorm_host_ops->store(to, &value, kElements, sizeof(T) / kElements, Access::kWeak, ALLNORM_HERE);
}
ALLNORM_DEVICE void store_weak(Words4* to, Words4 v, ALLNORM_AT) {
  allnorm_host_ops->store(to, &v, 4, 4, Access::kWeak, ALLNORM_HERE);
}
ALLNORM_DEVICE void store_weak(Words2* to, Words2 v, ALLNORM_AT) {
  allnorm_host_ops->store(to, &v, 2, 4, Access::kWeak, ALLNORM_HERE);
}
ALLNORM_DEVICE Words2 load_relaxed_gpu(const Words2* from, ALLNORM_AT) {
  Words2 v;
  allnorm_host_ops->load(&v, from, 2, 4, Access::kRelaxedGpu, ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE u64 load_relaxed_gpu(const u64* from, ALLNORM_AT) {
  u64 v;
  allnorm_host_ops->load(&v, from, 1, 8, Access::kRelaxedGpu, ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE void add_relaxed_gpu(u64* to, u64 value, ALLNORM_AT) {
  allnorm_host_ops->add_relaxed_gpu(to, value, ALLNORM_HERE);
}

// --- memory of all GPUs ----------------------------------------------------------------------------------------------

ALLNORM_DEVICE Words4 load_relaxed_system(const Words4* from, ALLNORM_AT) {
  Words4 v;
  allnorm_host_ops->load(&v, from, 4, 4, Access::kRelaxedSystem, ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE u32 load_relaxed_system(const u32* from, ALLNORM_AT) {
  u32 v;
  allnorm_host_ops->load(&v, from, 1, 4, Access::kRelaxedSystem, ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE u64 load_relaxed_system(const u64* from, ALLNORM_AT) {
  u64 v;
  allnorm_host_ops->load(&v, from, 1, 8, Access::kRelaxedSystem, ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE void store_relaxed_system(Words4* to, Words4 v, ALLNORM_AT) {
  allnorm_host_ops->store(to, &v, 4, 4, Access::kRelaxedSystem, ALLNORM_HERE);
}
ALLNORM_DEVICE void store_relaxed_system(u64* to, u64 v, ALLNORM_AT) {
  allnorm_host_ops->store(to, &v, 1, 8, Access::kRelaxedSystem, ALLNORM_HERE);
}
ALLNORM_DEVICE void store_release_system(u32* to, u32 v, ALLNORM_AT) {
  allnorm_host_ops->store(to, &v, 1, 4, Access::kReleaseSystem, ALLNORM_HERE);
}
ALLNORM_DEVICE u32 compare_and_swap_system(u32* at, u32 expected, u32 value, ALLNORM_AT) {
  return allnorm_host_ops->compare_and_swap_system(at, expected, value, ALLNORM_HERE);
}
ALLNORM_DEVICE void store_multicast(Words4* to, Words4 v, ALLNORM_AT) {
  allnorm_host_ops->store(to, &v, 4, 4, Access::kMulticast, ALLNORM_HERE);
}

ALLNORM_DEVICE void fence_system(ALLNORM_AT) { allnorm_host_ops->fence_system(ALLNORM_HERE); }

// --- waiting ---------------------------------------------------------------------------------------------------------

/// The simulator runs a poll again only when something may have changed.
constexpr u32 kPollsPerCheck = 2;
ALLNORM_DEVICE void pause_after_failed_poll(ALLNORM_AT) { allnorm_host_ops->pause_after_failed_poll(ALLNORM_HERE); }

template <typename T>
ALLNORM_DEVICE T computed_here(T value) {
  return value;
}

// --- warps, CTAs, clusters -------------------------------------------------------------------------------------------

ALLNORM_DEVICE u32 shuffle_xor(u32 value, u32 lane_mask, ALLNORM_AT) {
  return allnorm_host_ops->shuffle_xor(value, lane_mask, ALLNORM_HERE);
}
ALLNORM_DEVICE float shuffle_xor(float value, u32 lane_mask, ALLNORM_AT) {
  return bits_float(allnorm_host_ops->shuffle_xor(float_bits(value), lane_mask, ALLNORM_HERE));
}
ALLNORM_DEVICE bool vote_any(bool value, ALLNORM_AT) {
  return allnorm_host_ops->vote_any(static_cast<u32>(value), ALLNORM_HERE) != 0;
}
ALLNORM_DEVICE void barrier_named(u32 barrier, u32 threads, ALLNORM_AT) {
  allnorm_host_ops->barrier_cta(barrier, threads, ALLNORM_HERE);
}
ALLNORM_DEVICE void barrier_cta(ALLNORM_AT) { allnorm_host_ops->barrier_cta(0, 0, ALLNORM_HERE); }
ALLNORM_DEVICE void barrier_cluster_arrive(ALLNORM_AT) { allnorm_host_ops->barrier_cluster_arrive(ALLNORM_HERE); }
ALLNORM_DEVICE void barrier_cluster_wait(ALLNORM_AT) { allnorm_host_ops->barrier_cluster_wait(ALLNORM_HERE); }
ALLNORM_DEVICE float load_shared(const float* from, ALLNORM_AT) {
  float v;
  allnorm_host_ops->load_shared(&v, from, sizeof(v), ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE Words4 load_shared(const Words4* from, ALLNORM_AT) {
  Words4 v;
  allnorm_host_ops->load_shared(&v, from, sizeof(v), ALLNORM_HERE);
  return v;
}
ALLNORM_DEVICE void store_shared(float* to, float value, ALLNORM_AT) {
  allnorm_host_ops->store_shared(to, &value, sizeof(value), ALLNORM_HERE);
}
ALLNORM_DEVICE void store_shared(Words4* to, Words4 value, ALLNORM_AT) {
  allnorm_host_ops->store_shared(to, &value, sizeof(value), ALLNORM_HERE);
}
ALLNORM_DEVICE void store_cluster_shared(float* own, u32 cta_in_cluster, float value, ALLNORM_AT) {
  allnorm_host_ops->store_cluster_shared(own, cta_in_cluster, &value, sizeof(value), ALLNORM_HERE);
}

// --- programmatic dependent launch, clock ----------------------------------------------------------------------------

ALLNORM_DEVICE void grid_dependency_wait(ALLNORM_AT) { allnorm_host_ops->grid_dependency_wait(ALLNORM_HERE); }
ALLNORM_DEVICE void grid_dependency_launch(ALLNORM_AT) { allnorm_host_ops->grid_dependency_launch(ALLNORM_HERE); }
ALLNORM_DEVICE u64 clock_nanoseconds(ALLNORM_AT) { return allnorm_host_ops->clock_nanoseconds(ALLNORM_HERE); }

// --- rounded arithmetic ----------------------------------------------------------------------------------------------

ALLNORM_DEVICE float canonical(float value) { return value == value ? value : bits_float(kF32Magnitude); }
ALLNORM_DEVICE float add_rn(float a, float b) { return canonical(a + b); }
ALLNORM_DEVICE float multiply_rn(float a, float b) { return canonical(a * b); }
ALLNORM_DEVICE float fma_rn(float a, float b, float c) { return canonical(__builtin_fmaf(a, b, c)); }
ALLNORM_DEVICE float divide_rn(float a, float b) { return canonical(a / b); }

/// Correctly rounded: a guess in f64, then the neighbour's midpoint decides. With y = 2^e * m the midpoint m has 25
/// bits, its square 50, and x * m^2 has 74; compared exactly in 128-bit integers.
ALLNORM_DEVICE float rsqrt_rn(float a) {
  const u32 bits = float_bits(a);
  if ((bits & kF32Magnitude) == 0) return bits_float(bits | kF32Infinity);  // +-0 to +-infinity
  if (bits > kF32Infinity) return bits_float(kF32Magnitude);                // negative or NaN
  if (bits == kF32Infinity) return 0.0f;
  // a = mantissa * 2^exponent with an odd exponent made even, mantissa < 2^25.
  u64 mantissa = bits & 0x7FFFFFu;
  int exponent = static_cast<int>(bits >> 23);
  if (exponent == 0) {
    exponent = 1;
  } else {
    mantissa |= 0x800000u;
  }
  exponent -= 150;
  if (exponent % 2 != 0) {
    mantissa *= 2;
    exponent -= 1;
  }
  while (mantissa < (u64{1} << 24)) {
    mantissa *= 4;
    exponent -= 2;
  }
  // The result is r * 2^(-exponent / 2) with r = 1 / sqrt(mantissa); mantissa in [2^24, 2^26), so r in (2^-13, 2^-12].
  // Its 24 bits: steps of 2^-36. The largest step count s with s <= 2^36 / sqrt(mantissa) to nearest: the exact s is
  // never a midpoint, since (2s + 1)^2 * mantissa = 2^74 has no solution.
  using Wide = unsigned __int128;
  u64 steps = static_cast<u64>(68719476736.0 / __builtin_sqrt(static_cast<double>(mantissa)));
  const auto below = [&](u64 twice) { return Wide{twice} * twice * mantissa < Wide{1} << 74; };
  while (!below(2 * steps - 1)) steps--;
  while (below(2 * steps + 1)) steps++;
  return __builtin_ldexpf(static_cast<float>(steps), -36 - exponent / 2);
}

// --- conversions -----------------------------------------------------------------------------------------------------

ALLNORM_DEVICE u32 f32_to_f16x2(float low, float high) {
  return f32_to_f16_bits(low) | static_cast<u32>(f32_to_f16_bits(high)) << 16;
}
ALLNORM_DEVICE u32 f32_to_bf16x2(float low, float high) {
  return f32_to_bf16_bits(low) | static_cast<u32>(f32_to_bf16_bits(high)) << 16;
}
ALLNORM_DEVICE FloatPair f16x2_to_f32(u32 word) {
  return {f16_bits_to_f32(static_cast<u16>(word)), f16_bits_to_f32(static_cast<u16>(word >> 16))};
}
/// Through f32, which has at least twice the bits of either format and two, so that the second rounding changes
/// nothing.
ALLNORM_DEVICE u32 add_f16x2(u32 a, u32 b) {
  const FloatPair x = f16x2_to_f32(a), y = f16x2_to_f32(b);
  return f32_to_f16x2(add_rn(x.low, y.low), add_rn(x.high, y.high));
}
ALLNORM_DEVICE u32 add_bf16x2(u32 a, u32 b) {
  const FloatPair x = bf16x2_to_f32(a), y = bf16x2_to_f32(b);
  return f32_to_bf16x2(add_rn(x.low, y.low), add_rn(x.high, y.high));
}
ALLNORM_DEVICE u16 f32_to_e4m3x2(float low, float high) {
  return static_cast<u16>(f32_to_e4m3_bits(low) | static_cast<u32>(f32_to_e4m3_bits(high)) << 8);
}
ALLNORM_DEVICE float e4m3_to_f32(u8 bits) { return e4m3_bits_to_f32(bits); }
template <u32 kCount>
ALLNORM_DEVICE u32 f32_to_e2m1(const float (&values)[kCount]) {
  u32 codes = 0;
  for (u32 j = 0; j < kCount; j++) codes |= static_cast<u32>(f32_to_e2m1_bits(values[j])) << (4 * j);
  return codes;
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_DEVICE_OPS_HOST_CUH_
