#include "allnorm/types.h"

namespace allnorm {

// A value that is no enumerator can come through the C ABI, hence the "unknown" after each switch.

const char* to_string(DataType dtype) noexcept {
  switch (dtype) {
    case DataType::kF32: return "f32";
    case DataType::kF16: return "f16";
    case DataType::kBF16: return "bf16";
    case DataType::kE4M3: return "e4m3";
    case DataType::kU8: return "u8";
    case DataType::kE2M1x2: return "e2m1x2";
  }
  return "unknown";
}

const char* to_string(Quant quant) noexcept {
  switch (quant) {
    case Quant::kNone: return "none";
    case Quant::kFp8: return "fp8";
    case Quant::kNvfp4: return "nvfp4";
    case Quant::kDynamicFp8: return "dynamic_fp8";
  }
  return "unknown";
}

const char* to_string(ScaleLayout layout) noexcept {
  switch (layout) {
    case ScaleLayout::kSwizzled128x4: return "swizzled_128x4";
    case ScaleLayout::kSwizzled8x4: return "swizzled_8x4";
    case ScaleLayout::kLinear: return "linear";
  }
  return "unknown";
}

const char* to_string(Strategy strategy) noexcept {
  switch (strategy) {
    case Strategy::kOneShot: return "one_shot";
    case Strategy::kTwoShot: return "two_shot";
    case Strategy::kAuto: return "auto";
  }
  return "unknown";
}

}  // namespace allnorm
