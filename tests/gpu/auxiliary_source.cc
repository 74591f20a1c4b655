// The CUDA source of the auxiliary kernels. It follows the text of device_ops_cuda.cuh, whose names it uses.
#include "gpu/auxiliary_source.h"

namespace allnorm::gpu_tests {

const char* const kAuxiliarySource = R"cuda(
namespace allnorm_tests {
using namespace allnorm_kernel;

struct FillJob { void* data; u64 rows, columns, first_row, seed; u32 pattern, dtype, rank, per_replay; };
struct DigestJob { const void* data; u64 bytes; };
struct Tally { u64 replays, mismatches, first_mismatch; };
struct Count { u64 mismatches, example; };

constexpr u64 kStep = 0x9E3779B97F4A7C15ull, kRowStep = 0xD1B54A32D192ED03ull;
constexpr u32 kConstantWord = 100;

ALLNORM_DEVICE u64 mix(u64 x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}
ALLNORM_DEVICE u32 field(u64 h, int first, int count) { return static_cast<u32>(h >> first) & ((1u << count) - 1); }

// --- inputs: the formula of reference/patterns.h, written again ------------------------------------------------------

struct Format { u32 sign_bit, mantissa_bits, exponents, bias; };
ALLNORM_DEVICE Format format_of(u32 dtype) {
  if (dtype == 0) return {31, 23, 255, 127};
  if (dtype == 1) return {15, 10, 31, 15};
  return {15, 7, 255, 127};
}
ALLNORM_DEVICE u32 round_to(u32 dtype, float x) {
  if (dtype == 0) return is_nan_bits(float_bits(x)) ? 0x7FFFFFFFu : float_bits(x);
  return dtype == 1 ? f32_to_f16_bits(x) : f32_to_bf16_bits(x);
}
ALLNORM_DEVICE u32 word(Format f, u32 negative, u32 exponent, u32 mantissa) {
  return negative << f.sign_bit | exponent << f.mantissa_bits | mantissa;
}
ALLNORM_DEVICE u32 normal(u32 dtype, u64 h) {
  const int sum = static_cast<int>(field(h, 0, 21) + field(h, 21, 21) + field(h, 42, 21));
  const float value = multiply_rn(static_cast<float>(sum - 3 * (1 << 20)), 9.5367431640625e-7f);
  const float factor = multiply_rn(bits_float(0x3F800000u | field(h, 32, 23)), 0.65625f);
  return round_to(dtype, multiply_rn(value, factor));
}
ALLNORM_DEVICE u32 element(u32 pattern, u32 dtype, u64 row, u64 h) {
  const Format f = format_of(dtype);
  const u32 mantissa = field(h, 16, f.mantissa_bits), sign = field(h, 63, 1), kind = static_cast<u32>(row % 4);
  switch (pattern) {
    case 0: return normal(dtype, h);
    case 1:
      switch (field(h, 0, 3)) {
        case 0: case 1: return word(f, 1, 0, 0);
        case 2: return 0;
        case 3: return word(f, sign, 1 + field(h, 8, 2), mantissa);
        case 4: return normal(dtype, h);
        default: return word(f, sign, 0, mantissa);
      }
    case 2:
      if (kind == 1 || field(h, 0, 6) != 0) return normal(dtype, h);
      if (kind == 2) return word(f, 0, f.exponents, 0);
      if (kind == 3 || field(h, 8, 1) == 0) return word(f, sign, f.exponents, 0);
      return word(f, sign, f.exponents, mantissa | 1);
    case 3: {
      if (kind == 3 && field(h, 0, 6) != 0) return normal(dtype, h);
      const u32 negative = kind == 0 ? 0 : sign;
      if (kind == 2 && f.exponents == 255) return word(f, negative, f.bias + 64 + field(h, 8, 3), mantissa);
      return word(f, negative, f.exponents - 1 - (kind == 0 ? 0 : field(h, 8, 2)), mantissa);
    }
    case 4:
      if (f.exponents == 31) return word(f, sign, field(h, 8, 2), mantissa);
      return word(f, sign, f.bias - 77 + field(h, 8, 4), mantissa);
    default: return static_cast<u32>(h >> 32);
  }
}

extern "C" __global__ void fill(const FillJob* jobs, const Tally* tally) {
  const FillJob job = jobs[blockIdx.y];
  const u64 seed = job.seed + (job.per_replay != 0 ? tally->replays * 0xA24BAED4963EE407ull : 0);
  const u64 stream = mix(seed + kStep * (1 + job.pattern + 8ull * job.dtype + 64ull * job.rank));
  for (u64 row = blockIdx.x; row < job.rows; row += gridDim.x) {
    const u64 row_key = mix(stream + kRowStep * (job.first_row + row + 1));
    for (u64 column = threadIdx.x; column < job.columns; column += blockDim.x) {
      const u64 h = mix(row_key + kStep * (column + 1)), at = row * job.columns + column;
      const u32 value = job.pattern == kConstantWord ? static_cast<u32>(seed)
                                                     : element(job.pattern, job.dtype, job.first_row + row, h);
      if (job.dtype == 0) static_cast<u32*>(job.data)[at] = value;
      else static_cast<u16*>(job.data)[at] = static_cast<u16>(value);
    }
  }
}

// --- digests ---------------------------------------------------------------------------------------------------------

ALLNORM_DEVICE u64 digest_term(u64 index, u64 word) { return mix((index + 1) * kStep ^ word); }

extern "C" __global__ void digest(const DigestJob* jobs, u64* digests) {
  const DigestJob job = jobs[blockIdx.y];
  const u64 words = (job.bytes + 3) / 4, threads = static_cast<u64>(gridDim.x) * blockDim.x;
  u64 sum = 0;
  for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < words; i += threads) {
    u32 value = 0;
    if (4 * i + 4 <= job.bytes) value = static_cast<const u32*>(job.data)[i];
    else for (u64 j = 4 * i; j < job.bytes; j++) value |= static_cast<u32>(static_cast<const u8*>(job.data)[j]) << (j % 4 * 8);
    sum += digest_term(i, value);
  }
  if (sum != 0) atomicAdd(&digests[blockIdx.y], sum);
}

extern "C" __global__ void compare(u64* digests, const u64* expected, u32 calls, u64 rounds, Tally* tally) {
  const u64 replay = tally->replays;
  const u64* expected_now = expected + replay % rounds * calls;
  __syncthreads();
  for (u32 call = threadIdx.x; call < calls; call += blockDim.x) {
    if (digests[call] != expected_now[call]) {
      atomicAdd(&tally->mismatches, 1ull);
      atomicMin(&tally->first_mismatch, replay * calls + call);
    }
    digests[call] = 0;
  }
  if (threadIdx.x == 0) tally->replays = replay + 1;
}

// --- conversions -----------------------------------------------------------------------------------------------------

ALLNORM_DEVICE void count(Count* counts, u32 which, bool equal, u32 x) {
  if (equal) return;
  atomicAdd(&counts[which].mismatches, 1ull);
  atomicMin(&counts[which].example, static_cast<u64>(x));
}

// As arithmetic gives NaNs.
ALLNORM_DEVICE float with_positive_nan(float x) { return is_nan_bits(float_bits(x)) ? bits_float(0x7FFFFFFFu) : x; }

// Of eight different values, of which the first is x.
ALLNORM_DEVICE bool e2m1_codes_are_right(u32 x) {
  float values[8];
  u32 expected = 0;
#pragma unroll
  for (u32 j = 0; j < 8; j++) {
    values[j] = with_positive_nan(bits_float(x * (1 + j * 0x9E3779B2u)));
    expected |= static_cast<u32>(f32_to_e2m1_bits(values[j])) << (4 * j);
  }
  const float half[4] = {values[1], values[0], values[3], values[2]};
  const u32 turned = (expected & 0xF0Fu) << 4 | (expected >> 4 & 0xF0Fu);
  return f32_to_e2m1(values) == expected && (f32_to_e2m1(half) & 0xFFFFu) == turned;
}

// The instructions convert pairs: each x is once the low and once the high element, beside different neighbours.
extern "C" __global__ void check_conversions(Count* counts) {
  const u64 threads = static_cast<u64>(gridDim.x) * blockDim.x;
  for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < 1ull << 32; i += threads) {
    const u32 x = static_cast<u32>(i), y = x * 0x9E3779B1u + 0x7F4A7C15u;
    const float a = bits_float(x), b = bits_float(y);
    count(counts, 0, f32_to_f16x2(a, b) == (f32_to_f16_bits(a) | static_cast<u32>(f32_to_f16_bits(b)) << 16), x);
    count(counts, 1, f32_to_bf16x2(a, b) == (f32_to_bf16_bits(a) | static_cast<u32>(f32_to_bf16_bits(b)) << 16), x);
    count(counts, 2, f32_to_e4m3x2(a, b) == (f32_to_e4m3_bits(a) | static_cast<u32>(f32_to_e4m3_bits(b)) << 8), x);
    count(counts, 3, e2m1_codes_are_right(x), x);
    if (i < 256) {
      const u8 code = static_cast<u8>(x);
      const float hard = e4m3_to_f32(code), soft = e4m3_bits_to_f32(code);
      count(counts, 5, float_bits(hard) == float_bits(soft) || (hard != hard && soft != soft), x);
    }
    if (i < 65536) {
      const u16 code = static_cast<u16>(x), other = static_cast<u16>(y);
      const FloatPair pair = f16x2_to_f32(static_cast<u32>(code) | static_cast<u32>(other) << 16);
      const auto same = [](float hard, float soft) {
        return float_bits(hard) == float_bits(soft) || (is_nan_bits(float_bits(hard)) && is_nan_bits(float_bits(soft)));
      };
      count(counts, 4, same(pair.low, f16_bits_to_f32(code)) && same(pair.high, f16_bits_to_f32(other)), x);
    }
  }
}

// A sum of pairs against one in f32 that is then rounded: what the contract asks for.
extern "C" __global__ void check_sums(Count* counts) {
  const u64 threads = static_cast<u64>(gridDim.x) * blockDim.x;
  for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < 1ull << 32; i += threads) {
    const u32 pair = static_cast<u32>(i), turned = pair >> 16 | pair << 16;
    const FloatPair half = f16x2_to_f32(pair), brain = bf16x2_to_f32(pair);
    const float half_sum = add_rn(half.low, half.high), brain_sum = add_rn(brain.low, brain.high);
    count(counts, 0, add_f16x2(pair, turned) == f32_to_f16x2(half_sum, half_sum), pair);
    count(counts, 1, add_bf16x2(pair, turned) == f32_to_bf16x2(brain_sum, brain_sum), pair);
  }
}

// True if 1 / sqrt(x) lies above the middle between the positive normal `lower` and the next float; never equal to it.
// With the middle m * 2^e and x = s * 2^f, all integers: m^2 * s * 2^(2e + f) < 1.
ALLNORM_DEVICE bool lies_above_middle(u32 lower, u32 x) {
  const int x_exponent = static_cast<int>(x >> 23);
  const u64 s = x_exponent == 0 ? x : ((x & 0x7FFFFFu) | 0x800000u);
  const int f = (x_exponent == 0 ? 1 : x_exponent) - 150;
  const u64 m = 2ull * ((lower & 0x7FFFFFu) | 0x800000u) + 1;
  const int e = static_cast<int>(lower >> 23) - 151;
  const u64 square = m * m, high = __umul64hi(square, s), low = square * s;  // 74 bits at most
  const int one = -(2 * e + f);                                              // 1 is 2^one in these units
  if (one < 0) return false;
  if (one > 100) return true;
  return one >= 64 ? high < 1ull << (one - 64) : high == 0 && low < 1ull << one;
}
ALLNORM_DEVICE bool is_rsqrt(u32 x, u32 result) {
  const u32 magnitude = x & 0x7FFFFFFFu;
  if (magnitude == 0) return result == (x | 0x7F800000u);
  if (magnitude > 0x7F800000u || x >> 31 != 0) return is_nan_bits(result);
  if (magnitude == 0x7F800000u) return result == 0;
  if (result < 0x00800001u || result >= 0x7F800000u) return false;
  return lies_above_middle(result - 1, x) && !lies_above_middle(result, x);
}

extern "C" __global__ void check_rsqrt(Count* counts) {
  const u64 threads = static_cast<u64>(gridDim.x) * blockDim.x;
  for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < 1ull << 32; i += threads) {
    const u32 x = static_cast<u32>(i);
    count(counts, 0, is_rsqrt(x, float_bits(rsqrt_rn(bits_float(x)))), x);
  }
}

extern "C" __global__ void digest_conversions(u64 inputs, u32 step, u64* result) {
  const u64 threads = static_cast<u64>(gridDim.x) * blockDim.x;
  u64 sum = 0;
  for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < inputs; i += threads) {
    const float x = bits_float(static_cast<u32>(i) * step);
    const u32 halves = (f32_to_f16x2(x, 0.0f) & 0xFFFFu) | f32_to_bf16x2(x, 0.0f) << 16;
    const float four[4] = {with_positive_nan(x), 0.0f, 0.0f, 0.0f};
    const u32 narrow = (f32_to_e4m3x2(x, 0.0f) & 0xFFu) | (f32_to_e2m1(four) & 0xFu) << 8;
    const u32 r = float_bits(rsqrt_rn(x));
    sum += digest_term(3 * i, halves) + digest_term(3 * i + 1, narrow);
    sum += digest_term(3 * i + 2, is_nan_bits(r) ? 0x7FFFFFFFu : r);
  }
  atomicAdd(result, sum);
}

}  // namespace allnorm_tests
)cuda";

}  // namespace allnorm::gpu_tests
