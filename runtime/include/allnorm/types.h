// The vocabulary of the call: number formats, quantization modes, scale layouts, strategies, tensors.
//
// All types here are plain values. A Tensor does not own its memory: the memory must live, and not move, until the
// stream that the call was given has passed the call.
#ifndef ALLNORM_TYPES_H_
#define ALLNORM_TYPES_H_

#include <cstddef>
#include <cstdint>

#include "allnorm/export.h"

namespace allnorm {

/// Element formats. kE2M1x2 is a byte with two e2m1 values, the even column in the low nibble.
enum class DataType : std::uint8_t { kF32 = 0, kF16 = 1, kBF16 = 2, kE4M3 = 3, kU8 = 4, kE2M1x2 = 5 };

/// How the normalised row is quantized. The numbers are those of `quant_type` in the Python call.
enum class Quant : std::uint8_t { kNone = 0, kFp8 = 1, kNvfp4 = 2, kDynamicFp8 = 3 };

/// Where the scale of an NVFP4 block lies. The numbers are those of `layout_code` in the Python call.
enum class ScaleLayout : std::uint8_t { kSwizzled128x4 = 0, kSwizzled8x4 = 1, kLinear = 2 };

/// One-shot sends every row to every rank; two-shot reduces a row on its owner, which sends the sum to all.
/// kAuto lets the tuned table choose.
enum class Strategy : std::uint8_t { kOneShot = 0, kTwoShot = 1, kAuto = 99 };

/// "bf16", "nvfp4", "swizzled_128x4", "two_shot": the names that tables, flags and messages use.
ALLNORM_EXPORT const char* to_string(DataType dtype) noexcept;
ALLNORM_EXPORT const char* to_string(Quant quant) noexcept;
ALLNORM_EXPORT const char* to_string(ScaleLayout layout) noexcept;
ALLNORM_EXPORT const char* to_string(Strategy strategy) noexcept;

/// Bytes of one element (kE2M1x2: of a pair).
constexpr std::size_t size_of(DataType dtype) noexcept {
  switch (dtype) {
    case DataType::kF32: return 4;
    case DataType::kF16:
    case DataType::kBF16: return 2;
    default: return 1;
  }
}

/// A dense row-major matrix in device memory, [rows, columns]; a vector has one row. `data == nullptr` means that the
/// tensor is not given.
struct Tensor {
  void* data = nullptr;
  DataType dtype = DataType::kF32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns) * size_of(dtype);
  }
};

/// A CUDA stream (`cudaStream_t`, `CUstream`), passed as the opaque pointer that both are, or OwnedStream::get().
using Stream = void*;

/// The largest world_size.
inline constexpr int kMaxWorldSize = 72;
/// The largest hidden_dim, in elements.
inline constexpr int kMaxHiddenDim = 65536;
/// The most tokens of a call, and of a workspace.
inline constexpr std::int64_t kMaxCallTokens = std::int64_t{1} << 24;
/// The most virtual ranks on one GPU (hardware queues).
inline constexpr int kMaxVirtualRanks = 8;

/// Bytes of the scale buffer of an NVFP4 call (e4m3, a byte a block of 16 columns): `LINEAR` tokens * hidden / 16,
/// `SWIZZLED_128x4` roundup(tokens, 128) * roundup(hidden / 16, 4).
constexpr std::size_t nvfp4_scale_bytes(std::int64_t tokens, int hidden_dim, ScaleLayout layout) noexcept {
  const auto rows = static_cast<std::size_t>(tokens);
  const auto blocks = static_cast<std::size_t>(hidden_dim / 16);
  if (layout == ScaleLayout::kLinear) return rows * blocks;
  return (rows + 127) / 128 * 128 * ((blocks + 3) / 4 * 4);
}

}  // namespace allnorm

#endif  // ALLNORM_TYPES_H_
