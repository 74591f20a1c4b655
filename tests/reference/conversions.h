// All implementations of the number conversions under one set of names, so that the same checks can
// hold each of them against the CUDA toolkit's headers: the sampled ones of the unit tests, and the
// exhaustive ones.
//
// An implementation is a type with `kName` and the functions of Toolkit; a new one is added
// here and to the lists of the two programs. A direction is a type that names one of the
// functions.
#ifndef ALLNORM_TESTS_REFERENCE_CONVERSIONS_H_
#define ALLNORM_TESTS_REFERENCE_CONVERSIONS_H_

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp8.h>

#include <cstdint>

#include "reference/numbers.h"
#if __has_include("../../kernels_src/number_formats.cuh")
#include "../../kernels_src/number_formats.cuh"
#define ALLNORM_HAS_KERNEL_CONVERSIONS 1
#else
#define ALLNORM_HAS_KERNEL_CONVERSIONS 0
#endif

namespace allnorm::reference {

/// What all others must equal. The toolkit's host functions give the contract's canonical NaNs for
/// f16, bf16 and e4m3 on their own, and +6 for a NaN as e2m1: nothing is adjusted here.
struct Toolkit {
  static constexpr const char* kName = "toolkit";
  static std::uint16_t f32_to_f16(float x) { return __half_raw(__float2half_rn(x)).x; }
  static std::uint16_t f32_to_bf16(float x) { return __nv_bfloat16_raw(__float2bfloat16_rn(x)).x; }
  static std::uint8_t f32_to_e4m3(float x) {
    return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
  }
  static std::uint8_t f32_to_e2m1(float x) {
    return __nv_cvt_float_to_fp4(x, __NV_E2M1, cudaRoundNearest);
  }
  static float f16_to_f32(std::uint16_t bits) { return __half2float(__half_raw{bits}); }
  static float bf16_to_f32(std::uint16_t bits) { return __bfloat162float(__nv_bfloat16_raw{bits}); }
  static float e4m3_to_f32(std::uint8_t bits) {
    return __half2float(__nv_cvt_fp8_to_halfraw(bits, __NV_E4M3));
  }
  static float e2m1_to_f32(std::uint8_t bits) {
    return __half2float(__nv_cvt_fp4_to_halfraw(bits, __NV_E2M1));
  }
};

struct Reference {
  static constexpr const char* kName = "reference";
  static std::uint16_t f32_to_f16(float x) { return reference::f32_to_f16(x); }
  static std::uint16_t f32_to_bf16(float x) { return reference::f32_to_bf16(x); }
  static std::uint8_t f32_to_e4m3(float x) { return reference::f32_to_e4m3(x); }
  static std::uint8_t f32_to_e2m1(float x) { return reference::f32_to_e2m1(x); }
  static float f16_to_f32(std::uint16_t bits) { return reference::f16_to_f32(bits); }
  static float bf16_to_f32(std::uint16_t bits) { return reference::bf16_to_f32(bits); }
  static float e4m3_to_f32(std::uint8_t bits) { return reference::e4m3_to_f32(bits); }
  static float e2m1_to_f32(std::uint8_t bits) { return reference::e2m1_to_f32(bits); }
};

#if ALLNORM_HAS_KERNEL_CONVERSIONS
/// The kernels' own, as a GPU without conversion instructions and the simulator run them. They
/// never decode e2m1.
struct Kernel {
  static constexpr const char* kName = "kernel";
  static std::uint16_t f32_to_f16(float x) { return allnorm_kernel::f32_to_f16_bits(x); }
  static std::uint16_t f32_to_bf16(float x) { return allnorm_kernel::f32_to_bf16_bits(x); }
  static std::uint8_t f32_to_e4m3(float x) { return allnorm_kernel::f32_to_e4m3_bits(x); }
  static std::uint8_t f32_to_e2m1(float x) { return allnorm_kernel::f32_to_e2m1_bits(x); }
  static float f16_to_f32(std::uint16_t bits) { return allnorm_kernel::f16_bits_to_f32(bits); }
  static float bf16_to_f32(std::uint16_t bits) { return allnorm_kernel::bf16_bits_to_f32(bits); }
  static float e4m3_to_f32(std::uint8_t bits) { return allnorm_kernel::e4m3_bits_to_f32(bits); }
};
#endif

struct ToF16 {
  static constexpr const char* kName = "f32 to f16";
  template <class Implementation>
  static std::uint32_t convert(std::uint32_t x) {
    return Implementation::f32_to_f16(float_of(x));
  }
};
struct ToBf16 {
  static constexpr const char* kName = "f32 to bf16";
  template <class Implementation>
  static std::uint32_t convert(std::uint32_t x) {
    return Implementation::f32_to_bf16(float_of(x));
  }
};
struct ToE4m3 {
  static constexpr const char* kName = "f32 to e4m3";
  template <class Implementation>
  static std::uint32_t convert(std::uint32_t x) {
    return Implementation::f32_to_e4m3(float_of(x));
  }
};
struct ToE2m1 {
  static constexpr const char* kName = "f32 to e2m1";
  template <class Implementation>
  static std::uint32_t convert(std::uint32_t x) {
    return Implementation::f32_to_e2m1(float_of(x));
  }
};

/// True if the implementation gives the toolkit's code for the f32 with these bits.
template <class Direction, class Implementation>
bool equals_toolkit(std::uint32_t x) {
  return Direction::template convert<Implementation>(x) == Direction::template convert<Toolkit>(x);
}

/// Equal bits, or NaN both: decoders may give any payload.
inline bool same_value(float a, float b) { return stored_bits(a) == stored_bits(b); }

/// 1 / sqrt(x) by another way than rsqrt_rn(): 64 bits of mantissa, then one rounding to f32. The
/// second rounding could only go wrong within 2^-63 of the middle of two floats (relatively), and
/// none of the 2^25 mantissas with even and odd exponents comes nearer than about 2^-50.
inline std::uint32_t rsqrt_by_long_double(float x) {
  return bits_of(static_cast<float>(1.0L / __builtin_sqrtl(static_cast<long double>(x))));
}

}  // namespace allnorm::reference

#endif  // ALLNORM_TESTS_REFERENCE_CONVERSIONS_H_
