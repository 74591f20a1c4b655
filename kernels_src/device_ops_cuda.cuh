// device_ops for CUDA GPUs: each operation is one instruction, or a few lines of inline PTX.
#ifndef ALLNORM_KERNELS_DEVICE_OPS_CUDA_CUH_
#define ALLNORM_KERNELS_DEVICE_OPS_CUDA_CUH_

#define ALLNORM_DEVICE __device__ __forceinline__
#define ALLNORM_SHARED(type, name) __shared__ type name
// The number of CTAs matters even where it is 1: without it ptxas spills to make room for two.
#define ALLNORM_KERNEL(threads, ctas_per_multiprocessor) \
  extern "C" __global__ void __launch_bounds__(threads, ctas_per_multiprocessor)
#define ALLNORM_GRID_CONSTANT(type) const __grid_constant__ type

#include "number_formats.cuh"

namespace allnorm_kernel {

/// Kernels that just fit into 32 registers are for the GPUs that they were measured on: compiled for sm_103a, one in
/// seven needs a register more. Where one does, the library compiles it again without.
#if __CUDA_ARCH__ >= 1000 || defined(ALLNORM_NO_LEAN_KERNELS)
enum : bool { kAllowsLean = false };
#else
enum : bool { kAllowsLean = true };
#endif
enum : u32 { kThreadsPerMultiprocessor = 2048 };  ///< Of those.

/// 16 bytes: a vector of a row, or a part of one.
struct alignas(16) Words4 {
  u32 x, y, z, w;
};
struct alignas(8) Words2 {
  u32 x, y;
};

// --- indices ---------------------------------------------------------------------------------------------------------

ALLNORM_DEVICE u32 thread_in_cta() { return threadIdx.x; }
ALLNORM_DEVICE u32 cta_in_grid() { return blockIdx.x; }
ALLNORM_DEVICE u32 ctas_in_grid() { return gridDim.x; }

// --- memory of one GPU -----------------------------------------------------------------------------------------------

/// For memory that nobody writes during the kernel and all earlier work has finished writing.
ALLNORM_DEVICE Words4 load_input(const Words4* from) {
  Words4 v;
  asm volatile("ld.global.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
  return v;
}
ALLNORM_DEVICE float load_input(const float* from) {
  float v;
  asm volatile("ld.global.f32 %0, [%1];" : "=f"(v) : "l"(from));
  return v;
}
/// The same, but under way from here on: ptxas moves a weak load to its first use, behind the branches before it.
ALLNORM_DEVICE Words4 load_input_early(const Words4* from) {
  Words4 v;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from)
               : "memory");
  return v;
}
template <typename T>
ALLNORM_DEVICE void store_output(T* to, T value) {
  *to = value;
}
/// A plain store, ordered with others only by the end of the kernel.
ALLNORM_DEVICE void store_weak(Words4* to, Words4 v) {
  asm volatile("st.global.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}
ALLNORM_DEVICE void store_weak(Words2* to, Words2 v) {
  asm volatile("st.global.v2.u32 [%0], {%1,%2};" ::"l"(to), "r"(v.x), "r"(v.y) : "memory");
}
/// Not from a cache that another SM's store of an earlier kernel could have left stale.
ALLNORM_DEVICE Words2 load_relaxed_gpu(const Words2* from) {
  Words2 v;
  asm volatile("ld.relaxed.gpu.global.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(from) : "memory");
  return v;
}
ALLNORM_DEVICE u64 load_relaxed_gpu(const u64* from) {
  u64 v;
  asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(v) : "l"(from) : "memory");
  return v;
}
/// Adds without waiting for what was there.
ALLNORM_DEVICE void add_relaxed_gpu(u64* to, u64 value) {
  asm volatile("red.relaxed.gpu.global.add.u64 [%0], %1;" ::"l"(to), "l"(value) : "memory");
}

// --- memory of all GPUs ----------------------------------------------------------------------------------------------
// A vector access is four separate words that may arrive in any order.

ALLNORM_DEVICE Words4 load_relaxed_system(const Words4* from) {
  Words4 v;
  asm volatile("ld.relaxed.sys.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from)
               : "memory");
  return v;
}
ALLNORM_DEVICE u32 load_relaxed_system(const u32* from) {
  u32 v;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(from) : "memory");
  return v;
}
ALLNORM_DEVICE u64 load_relaxed_system(const u64* from) {
  u64 v;
  asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(v) : "l"(from) : "memory");
  return v;
}
ALLNORM_DEVICE void store_relaxed_system(Words4* to, Words4 v) {
  asm volatile("st.relaxed.sys.global.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
               : "memory");
}
ALLNORM_DEVICE void store_relaxed_system(u64* to, u64 v) {
  asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(to), "l"(v) : "memory");
}
ALLNORM_DEVICE void store_release_system(u32* to, u32 v) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(to), "r"(v) : "memory");
}
/// Returns what was there; stores `value` where that was `expected`.
ALLNORM_DEVICE u32 compare_and_swap_system(u32* at, u32 expected, u32 value) {
  u32 old;
  asm volatile("atom.relaxed.sys.global.cas.b32 %0, [%1], %2, %3;"
               : "=r"(old)
               : "l"(at), "r"(expected), "r"(value)
               : "memory");
  return old;
}
/// To the same place of every rank. The type is only a name for 32 bits: no bit is changed.
ALLNORM_DEVICE void store_multicast(Words4* to, Words4 v) {
  asm volatile("multimem.st.relaxed.sys.global.v4.f32 [%0], {%1,%2,%3,%4};" ::"l"(to), "f"(bits_float(v.x)),
               "f"(bits_float(v.y)), "f"(bits_float(v.z)), "f"(bits_float(v.w))
               : "memory");
}

/// What the thread did and saw before is ordered before what it does after, for all GPUs.
ALLNORM_DEVICE void fence_system() { asm volatile("fence.acq_rel.sys;" ::: "memory"); }

// --- waiting ---------------------------------------------------------------------------------------------------------

enum : u32 { kPollsPerCheck = 1024 };  ///< Well under a millisecond of polling.
/// Says that what was loaded was not what is waited for. A GPU polls on.
ALLNORM_DEVICE void pause_after_failed_poll() {}

/// What it is given, computed before what follows: compilers move what only a later step needs behind a wait.
template <typename T>
ALLNORM_DEVICE T* computed_here(T* pointer) {
  asm volatile("" : "+l"(pointer));
  return pointer;
}
ALLNORM_DEVICE Words4 computed_here(Words4 v) {
  asm volatile("" : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w));
  return v;
}

// --- warps, CTAs, clusters -------------------------------------------------------------------------------------------

/// One line of PTX, where the intrinsic takes four: what a kernel takes to compile grows with its lines.
ALLNORM_DEVICE u32 shuffle_xor(u32 value, u32 lane_mask) {
  u32 other;
  asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, -1;" : "=r"(other) : "r"(value), "r"(lane_mask));
  return other;
}
ALLNORM_DEVICE float shuffle_xor(float value, u32 lane_mask) {
  float other;
  asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, -1;" : "=f"(other) : "f"(value), "r"(lane_mask));
  return other;
}
ALLNORM_DEVICE bool vote_any(bool value) { return __any_sync(~0u, value) != 0; }
ALLNORM_DEVICE void barrier_cta() { __syncthreads(); }
/// Barrier 1 to 15, for so many threads of the CTA: whole warps.
ALLNORM_DEVICE void barrier_named(u32 barrier, u32 threads) {
  asm volatile("barrier.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
ALLNORM_DEVICE void barrier_cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
ALLNORM_DEVICE void barrier_cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }
ALLNORM_DEVICE float load_shared(const float* from) { return *from; }
ALLNORM_DEVICE Words4 load_shared(const Words4* from) { return *from; }
ALLNORM_DEVICE void store_shared(float* to, float value) { *to = value; }
ALLNORM_DEVICE void store_shared(Words4* to, Words4 value) { *to = value; }
/// Into the shared memory of a CTA of this cluster, at the place where `own` lies in this one.
ALLNORM_DEVICE void store_cluster_shared(float* own, u32 cta_in_cluster, float value) {
  const u32 here = static_cast<u32>(__cvta_generic_to_shared(own));
  u32 there;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(cta_in_cluster));
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(there), "f"(value) : "memory");
}

// --- programmatic dependent launch, clock ----------------------------------------------------------------------------

ALLNORM_DEVICE void grid_dependency_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
ALLNORM_DEVICE void grid_dependency_launch() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
ALLNORM_DEVICE u64 clock_nanoseconds() {
  u64 now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

// --- rounded arithmetic ----------------------------------------------------------------------------------------------

ALLNORM_DEVICE float add_rn(float a, float b) { return __fadd_rn(a, b); }
ALLNORM_DEVICE float multiply_rn(float a, float b) { return __fmul_rn(a, b); }
ALLNORM_DEVICE float fma_rn(float a, float b, float c) { return __fmaf_rn(a, b, c); }
ALLNORM_DEVICE float divide_rn(float a, float b) { return __fdiv_rn(a, b); }
ALLNORM_DEVICE float rsqrt_rn(float a) { return __frsqrt_rn(a); }

// --- conversions -----------------------------------------------------------------------------------------------------
// Pairs: the first argument is the element at the lower address, in the low half.

ALLNORM_DEVICE u32 f32_to_f16x2(float low, float high) {
  u32 d;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
  return d;
}
ALLNORM_DEVICE u32 f32_to_bf16x2(float low, float high) {
  u32 d;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
  return d;
}
ALLNORM_DEVICE FloatPair f16x2_to_f32(u32 word) {
  FloatPair pair;
  asm("{\n.reg .f16 low, high;\n"
      "mov.b32 {low, high}, %2;\n"
      "cvt.f32.f16 %0, low;\n"
      "cvt.f32.f16 %1, high;\n}"
      : "=f"(pair.low), "=f"(pair.high)
      : "r"(word));
  return pair;
}
/// Pairs of 16-bit elements, each sum rounded once.
ALLNORM_DEVICE u32 add_f16x2(u32 a, u32 b) {
  u32 d;
  asm("add.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
  return d;
}
ALLNORM_DEVICE u32 add_bf16x2(u32 a, u32 b) {
  u32 d;
  asm("add.rn.bf16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
  return d;
}
ALLNORM_DEVICE u16 f32_to_e4m3x2(float low, float high) {
  u16 d;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(d) : "f"(high), "f"(low));
  return d;
}
ALLNORM_DEVICE float e4m3_to_f32(u8 bits) {
  float d;
  asm("{\n.reg .b32 pair;\n.reg .f16 low, high;\n"
      "cvt.rn.f16x2.e4m3x2 pair, %1;\n"
      "mov.b32 {low, high}, pair;\n"
      "cvt.f32.f16 %0, low;\n}"
      : "=f"(d)
      : "h"(static_cast<u16>(bits)));
  return d;
}
/// A byte of each of two words: `which` of `a` in the low one, the same of `b` in the next.
ALLNORM_DEVICE u32 bytes_of(u32 which, u32 a, u32 b) { return __byte_perm(a, b, which | (which + 4) << 4); }
ALLNORM_DEVICE u32 bytes_of(u32 which, u32 a, u32 b, u32 c, u32 d) {
  return __byte_perm(bytes_of(which, a, b), bytes_of(which, c, d), 0x5410);
}
/// The e2m1 codes of four values, in the low half, or of eight, the first in the lowest nibble. A NaN must be a
/// positive one, as arithmetic gives it.
template <u32 kCount>
ALLNORM_DEVICE u32 f32_to_e2m1(const float (&values)[kCount]) {
#if __CUDA_ARCH__ >= 1000
  u32 codes = 0;
#pragma unroll
  for (u32 j = 0; j < kCount; j += 2) {
    u32 pair;
    asm("{\n.reg .b8 pair, zero;\n"
        "cvt.rn.satfinite.e2m1x2.f32 pair, %1, %2;\n"
        "cvt.u32.u8 %0, pair;\n}"
        : "=r"(pair)
        : "f"(values[j + 1]), "f"(values[j]));
    codes |= pair << (4 * j);
  }
  return codes;
#else
  // Of each code, and of each sign, a byte: those of even elements in one word, those of odd ones in another.
  u32 codes[8], bits[8];
#pragma unroll
  for (u32 j = 0; j < 8; j++) {
    codes[j] = e2m1_of_magnitude(fminf(fabsf(values[j % kCount]), 6.0f));
    bits[j] = float_bits(values[j % kCount]);
  }
  const u32 even = bytes_of(0, codes[0], codes[2], codes[4], codes[6]);
  const u32 odd = bytes_of(0, codes[1], codes[3], codes[5], codes[7]);
  const u32 even_signs = bytes_of(3, bits[0], bits[2], bits[4], bits[6]);
  const u32 odd_signs = bytes_of(3, bits[1], bits[3], bits[5], bits[7]);
  return even | odd << 4 | (even_signs >> 4 & 0x08080808u) | (odd_signs & 0x80808080u);
#endif
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_DEVICE_OPS_CUDA_CUH_
