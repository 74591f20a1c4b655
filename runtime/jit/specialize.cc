#include "jit/specialize.h"

#include <fmt/format.h>

namespace allnorm {
namespace {

const char* dtype_constant(DataType dtype) {
  switch (dtype) {
    case DataType::kF16: return "Dtype::kF16";
    case DataType::kBF16: return "Dtype::kBF16";
    default: return "Dtype::kF32";
  }
}

const char* quant_constant(Quant quant) {
  switch (quant) {
    case Quant::kFp8: return "Quant::kFp8";
    case Quant::kNvfp4: return "Quant::kNvfp4";
    case Quant::kDynamicFp8: return "Quant::kDynamicFp8";
    default: return "Quant::kNone";
  }
}

const char* pdl_constant(Pdl pdl) {
  switch (pdl) {
    case Pdl::kEarlyTrigger: return "Pdl::kEarlyTrigger";
    case Pdl::kLateTrigger: return "Pdl::kLateTrigger";
    default: return "Pdl::kOff";
  }
}

const char* file_of(const Spec& spec) {
  if (spec.operation == Operation::kCompareCalls) return "compare_calls.cuh";
  if (spec.operation == Operation::kTestMulticast) return "test_multicast.cuh";
  return spec.strategy == Strategy::kTwoShot ? "two_shot.cuh" : "one_shot.cuh";
}

}  // namespace

std::string specialized_source(const Spec& spec) {
  return fmt::format(
      R"(// {}
#include "spec_types.cuh"
namespace allnorm_kernel::spec {{
enum : int {{ kWorldSize = {}, kHiddenDim = {} }};
enum : int {{ kCtasPerRow = {}, kWarpsPerCta = {}, kChunksPerWarp = {} }};
inline constexpr Dtype kDtype = {}, kGammaDtype = {};
inline constexpr Quant kQuant = {};
inline constexpr ScaleLayout kScaleLayout = ScaleLayout::{};
inline constexpr Pdl kPdl = {};
enum : bool {{ kTwoShot = {}, kFused = {}, kMulticast = {}, kHasOutput = {}, kHasResidualOut = {}, kZeroScalePadding = {} }};
}}
#include "{}"
)",
      describe(spec), spec.world_size, spec.hidden_dim, spec.geometry.ctas_per_row, spec.geometry.warps_per_cta,
      spec.geometry.chunks_per_warp, dtype_constant(spec.dtype), dtype_constant(spec.gamma_dtype),
      quant_constant(spec.quant), spec.layout == ScaleLayout::kLinear ? "kLinear" : "kSwizzled128x4",
      pdl_constant(spec.pdl), spec.strategy == Strategy::kTwoShot, spec.operation == Operation::kFused,
      spec.transport == Transport::kMulticast, spec.has_output, spec.has_residual_out, spec.zero_scale_padding,
      file_of(spec));
}

std::vector<std::string> compile_options(Target target) {
  if (target == Target::kHost) {
    // -O1: from -O2, compiling takes half as long again and the simulator gains nothing. No -march: its fma would be
    // contracted to, or not, as the machine has it. math-errno: only ever asked for roots of what is positive.
    // strict-aliasing: kernels read and write memory of the simulator as words. The rest makes the smallest library,
    // whose names are its own.
    return {"-std=c++20",
            "-O1",
            "-fPIC",
            "-shared",
            "-ffp-contract=off",
            "-fno-math-errno",
            "-fno-strict-aliasing",
            "-fno-exceptions",
            "-fno-rtti",
            "-fvisibility=hidden",
            "-w",
            "-nostdlib",
            "-Wl,-Bsymbolic",
            "-Wl,-z,defs",
            "-Wl,--build-id=none",
            "-lm",
            "-lc"};
  }
  return {fmt::format("--gpu-architecture={}", to_string(target)),
          "--std=c++20",
          "-fmad=false",
          "-ftz=false",
          "-prec-div=true",
          "-prec-sqrt=true",
          "--no-source-include"};
}

const char* kernel_name(const Spec& spec) {
  if (spec.operation == Operation::kCompareCalls) return "allnorm_compare_calls";
  if (spec.operation == Operation::kTestMulticast) return "allnorm_test_multicast";
  return spec.strategy == Strategy::kTwoShot ? "allnorm_two_shot" : "allnorm_one_shot";
}

LaunchShape launch_shape(const Spec& spec) {
  return {spec.geometry.warps_per_cta * 32u, spec.geometry.ctas_per_row, spec.pdl != Pdl::kOff};
}

}  // namespace allnorm
