// Calls that are right in every respect, for tests that make one thing wrong. Nothing follows their addresses.
#ifndef ALLNORM_TESTS_UNIT_VALID_CALLS_H_
#define ALLNORM_TESTS_UNIT_VALID_CALLS_H_

#include <cstdint>
#include <string>

#include "allnorm/fused.h"
#include "api/validate.h"
#include "error_of.h"

namespace allnorm::testing {

inline constexpr std::int64_t kTokens = 128;
inline constexpr std::int64_t kHidden = 64;

inline void* at(std::uintptr_t address) { return reinterpret_cast<void*>(address); }

/// bf16, [128, 64], every tensor that the call can have, each 64 KiB from the next.
inline FusedCall valid_call(Quant quant, ScaleLayout layout = ScaleLayout::kSwizzled128x4,
                            DataType dtype = DataType::kBF16) {
  FusedCall call;
  call.quant = quant;
  call.layout = layout;
  call.input = {at(0x10000), dtype, kTokens, kHidden};
  call.residual_in = {at(0x20000), dtype, kTokens, kHidden};
  call.gamma = {at(0x30000), dtype, 1, kHidden};
  call.output = {at(0x40000), dtype, kTokens, kHidden};
  call.residual_out = {at(0x50000), dtype, kTokens, kHidden};
  if (quant == Quant::kNvfp4) {
    call.quant_out = {at(0x60000), DataType::kU8, kTokens, kHidden / 2};
    call.scale_out = {at(0x70000), DataType::kE4M3, 1, kTokens * kHidden / 16};
    if (layout == ScaleLayout::kLinear) call.scale_out = {at(0x70000), DataType::kE4M3, kTokens, kHidden / 16};
  } else if (quant != Quant::kNone) {
    call.quant_out = {at(0x60000), DataType::kE4M3, kTokens, kHidden};
    if (quant == Quant::kDynamicFp8) call.scale_out = {at(0x70000), DataType::kF32, kTokens, 1};
  }
  return call;
}

inline AllReduceCall valid_allreduce() {
  AllReduceCall call;
  call.input = {at(0x10000), DataType::kBF16, kTokens, kHidden};
  call.output = {at(0x40000), DataType::kBF16, kTokens, kHidden};
  return call;
}

/// "" if the call is accepted.
inline std::string refusal(const FusedCall& call, Pointers pointers = Pointers::kChecked) {
  return error_of(ErrorCode::kInvalidArgument, [&] { validate(call, call.quant != Quant::kNone, pointers); });
}
inline std::string refusal(const AllReduceCall& call, Pointers pointers = Pointers::kChecked) {
  return error_of(ErrorCode::kInvalidArgument, [&] { validate(call, pointers); });
}

/// The error of a valid call after `change`.
template <typename Change>
std::string refusal_of(Quant quant, const Change& change) {
  FusedCall call = valid_call(quant);
  change(call);
  return refusal(call);
}

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_UNIT_VALID_CALLS_H_
