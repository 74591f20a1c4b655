// How a row is spread over the threads of its cluster.
//
// A vector is 16 bytes of a row; a chunk is 32 consecutive vectors, one for each lane. A warp owns whole chunks, so
// that the sum of squares does not depend on the geometry (design, section 3, rule 3).
#ifndef ALLNORM_KERNELS_ROW_CUH_
#define ALLNORM_KERNELS_ROW_CUH_

#include "device_ops.cuh"
#include "params.cuh"

namespace allnorm_kernel {

using Params = ParamsFor<spec::kWorldSize>;

// Enumerators, here and below: NVRTC gives each constexpr variable a place and a name in the cubin, a sixth of its
// size.
enum : u32 {
  kWorldSize = spec::kWorldSize,
  kElementBytes = spec::kDtype == Dtype::kF32 ? 4 : 2,
  kVectorElements = 16 / kElementBytes,
  kVectors = spec::kHiddenDim / kVectorElements,
  kChunks = (kVectors + 31) / 32,
  kCtasPerRow = spec::kCtasPerRow,
  kChunksPerWarp = spec::kChunksPerWarp,
  kThreadsPerCta = spec::kWarpsPerCta * 32,
  kThreadsPerRow = kCtasPerRow * kThreadsPerCta,
  kWarpsPerRow = kThreadsPerRow / 32,
};
static_assert(kVectors * kVectorElements == spec::kHiddenDim, "hidden_dim must be a multiple of 16 bytes");
static_assert(kWarpsPerRow * kChunksPerWarp >= kChunks, "the geometry must cover the row");

// What a thread may have in registers. A kernel must not need local memory (its stack could be resized beside a peer
// that spins), and in a world of two, CTAs of up to 512 threads are to fit twice on a multiprocessor, so that one waits
// while the other works. So the loads in flight follow from the room that there is.
//
// Lean kernels do with 32 registers. They hold one row at a time, and what that waits for is hidden by the CTAs beside
// it: two of more than 512 threads, else as many as there is room for (two H200, 1024 tokens: of 7168 45.4 us, looking
// ahead 46.8; of 4096 26.8 and 28.3). That all of them do is what tests/compile asks.
enum : bool {
  kLean = kAllowsLean && kThreadsPerCta >= 256 && kCtasPerRow == 1 && kChunksPerWarp == 1 && kWorldSize == 2 &&
          !spec::kTwoShot && !spec::kMulticast && kElementBytes == 2 && spec::kGammaDtype == spec::kDtype,
};
enum : u32 {
  kCtasPerMultiprocessor = kLean ? (kThreadsPerCta > 512 ? 2 : kThreadsPerMultiprocessor / kThreadsPerCta)
                           : kThreadsPerCta <= 512 && kChunksPerWarp <= 2 && spec::kWorldSize <= 2 ? 2
                                                                                                   : 1,
  kAllocatedThreads = (kThreadsPerCta + 127) / 128 * 128 * kCtasPerMultiprocessor,  // warps come by four
  kRegisters = 65536 / kAllocatedThreads / 8 * 8 < 248 ? 65536 / kAllocatedThreads / 8 * 8 : 248,
  kBaseRegisters = (kWorldSize <= 2 ? 44 : 64) + 4 * kChunksPerWarp,  // by experience
  kGammaRegisters = kChunksPerWarp * (spec::kGammaDtype == spec::kDtype ? 4 : kVectorElements),
};

/// Whether the residual, and gamma, are loaded before the first wait, or where they are used; and whether the input of
/// this row and of the next stays in registers, or is loaded again once it was sent.
enum : bool { kResidualEarly = kLean || (kChunksPerWarp <= 2 && kBaseRegisters + 4 * kChunksPerWarp <= kRegisters) };
enum : u32 { kWithResidual = kBaseRegisters + (kResidualEarly ? 4 * kChunksPerWarp : 0) };
enum : bool { kGammaEarly = !kLean && kChunksPerWarp <= 2 && kWithResidual + kGammaRegisters <= kRegisters };
enum : u32 { kWithGamma = kWithResidual + (kGammaEarly ? kGammaRegisters : 0) };
/// 8 to spare: a kernel of 32 warps, two-shot with dynamic FP8, once needed one register more than there are.
enum : bool { kInputKept = kLean || (kChunksPerWarp <= 2 && kWithGamma + 8 * kChunksPerWarp + 8 <= kRegisters) };
/// The residual is loaded with the input, before the row is sent.
enum : bool {
  kResidualSent = kLean || (kResidualEarly && kInputKept && kWithGamma + 12 * kChunksPerWarp + 8 <= kRegisters)
};
enum : u32 {
  kWithInput = kWithGamma + (kInputKept ? 8 * kChunksPerWarp : 0) + (kResidualSent ? 4 * kChunksPerWarp : 0),
  kFreeVectors = kWithInput + 4 < kRegisters ? (kRegisters - kWithInput) / 4 : 1,
  kMost = 8 / (kChunksPerWarp < 4 ? kChunksPerWarp : 4),  // a kernel must stay small
  kFewer = kWorldSize < kMost ? kWorldSize : kMost,
  /// Peers' vectors that are loaded together.
  kGatherBatch = kWorldSize <= 2         ? kWorldSize
                 : kFreeVectors < kFewer ? kFreeVectors
                                         : kFewer,
};

/// Whether what begins a row, and what reports a timeout, is in the kernel twice: 50 and 40 ns less at one token (two
/// H200), and 4 KB more.
enum : bool { kRepeatsCode = kWorldSize <= 2 && kChunksPerWarp <= 2 && !kLean };

// Loops over a warp's chunks: what is loaded before the first wait is unrolled, so that it is in flight together; the
// work on a chunk is not, for a kernel must stay small (40 KiB, design, section 6) and quick to compile.

/// What a thread holds for chunk `i` of its warp, of an array that lies in registers: they know no index, so a loop
/// that is not unrolled selects.
template <typename T, u32 kCount>
ALLNORM_DEVICE T of_chunk(const T (&values)[kCount], u32 i) {
  T value = values[0];
#pragma unroll
  for (u32 k = 1; k < kCount; k++) {
    if (k == i) value = values[k];
  }
  return value;
}

/// A vector for each chunk of a warp.
struct ChunkVectors {
  Words4 vectors[kChunksPerWarp];

  ALLNORM_DEVICE Words4 at(u32 i) const { return of_chunk(vectors, i); }
  ALLNORM_DEVICE void set(u32 i, Words4 vector) {
#pragma unroll
    for (u32 k = 0; k < kChunksPerWarp; k++) {
      if (k == i) vectors[k] = vector;
    }
  }
};

/// A thread's place in the row that its cluster works on.
struct Place {
  u32 cta_in_row;
  u32 thread_in_row;

  ALLNORM_DEVICE u32 lane() const { return thread_in_row % 32; }
  /// Whether this lane is the last one of its warp that has a vector.
  ALLNORM_DEVICE bool is_last_of_chunk(u32 i) const { return has(i) && (lane() == 31 || vector(i) + 1 == kVectors); }
  /// The same for all lanes of a warp.
  ALLNORM_DEVICE bool has_chunk(u32 i) const { return (i + 1) * kWarpsPerRow <= kChunks || chunk(i) < kChunks; }
  ALLNORM_DEVICE u32 chunk(u32 i) const { return i * kWarpsPerRow + thread_in_row / 32; }
  ALLNORM_DEVICE u32 vector(u32 i) const { return i * kThreadsPerRow + thread_in_row; }
  /// The last chunk of a row may be partial, and the last warps may have no chunk.
  ALLNORM_DEVICE bool has(u32 i) const { return (i + 1) * kThreadsPerRow <= kVectors || vector(i) < kVectors; }
};

ALLNORM_DEVICE Place place_in_row() {
  const u32 cta = cta_in_grid() % kCtasPerRow;
  return {cta, cta * kThreadsPerCta + thread_in_cta()};
}

/// Of a tensor like the input.
ALLNORM_DEVICE u64 vector_in_tensor(u32 row, u32 vector) { return u64{row} * kVectors + vector; }

/// Where a row of it begins. In bytes: compilers keep no index then, in two registers, beside the pointers.
ALLNORM_DEVICE Words4* row_of(void* tensor, u32 row) {
  return reinterpret_cast<Words4*>(reinterpret_cast<u64>(tensor) + u64{row} * (kVectors * sizeof(Words4)));
}
ALLNORM_DEVICE const Words4* row_of(const void* tensor, u32 row) { return row_of(const_cast<void*>(tensor), row); }

ALLNORM_DEVICE Words4 load_input_vector(const Params& params, u32 row, u32 vector) {
  return load_input_early(row_of(params.input, row) + vector);
}

ALLNORM_DEVICE void unpack(Words4 v, float (&to)[kVectorElements]) {
  const u32 words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (u32 i = 0; i < 4; i++) {
    if constexpr (spec::kDtype == Dtype::kF32) {
      to[i] = bits_float(words[i]);
    } else {
      const FloatPair pair = spec::kDtype == Dtype::kF16 ? f16x2_to_f32(words[i]) : bf16x2_to_f32(words[i]);
      to[2 * i % kVectorElements] = pair.low;
      to[(2 * i + 1) % kVectorElements] = pair.high;
    }
  }
}

ALLNORM_DEVICE u32 add_words(u32 a, u32 b) {
  if constexpr (spec::kDtype == Dtype::kF32) return float_bits(add_rn(bits_float(a), bits_float(b)));
  return spec::kDtype == Dtype::kF16 ? add_f16x2(a, b) : add_bf16x2(a, b);
}
/// Element by element, rounded to the dtype. Of 16-bit elements in one step, which gives the bits of a sum in f32 that
/// is rounded: f32 has at least twice their bits and two (S. Figueroa, "When is double rounding innocuous?", 1995).
ALLNORM_DEVICE Words4 add_vectors(Words4 a, Words4 b) {
  return {add_words(a.x, b.x), add_words(a.y, b.y), add_words(a.z, b.z), add_words(a.w, b.w)};
}

/// Rounds to the dtype.
ALLNORM_DEVICE Words4 pack(const float (&from)[kVectorElements]) {
  u32 words[4];
#pragma unroll
  for (u32 i = 0; i < 4; i++) {
    if constexpr (spec::kDtype == Dtype::kF32) {
      words[i] = float_bits(from[i]);
    } else {
      const float low = from[2 * i % kVectorElements], high = from[(2 * i + 1) % kVectorElements];
      words[i] = spec::kDtype == Dtype::kF16 ? f32_to_f16x2(low, high) : f32_to_bf16x2(low, high);
    }
  }
  return {words[0], words[1], words[2], words[3]};
}

}  // namespace allnorm_kernel

#endif  // ALLNORM_KERNELS_ROW_CUH_
