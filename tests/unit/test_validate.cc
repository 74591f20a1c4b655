// Every argument of a call that can be wrong, by the message of the call that has it wrong.
#include <fmt/format.h>

#include <limits>

#include "catch.h"
#include "valid_calls.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Quant kQuants[] = {Quant::kNone, Quant::kFp8, Quant::kNvfp4, Quant::kDynamicFp8};
constexpr ScaleLayout kLayouts[] = {ScaleLayout::kSwizzled128x4, ScaleLayout::kLinear};

std::string refusal_as(const FusedCall& call, bool quantized) {
  return error_of(ErrorCode::kInvalidArgument, [&] { validate(call, quantized, Pointers::kChecked); });
}

}  // namespace

TEST_CASE("a valid call of every quant, layout and dtype is accepted", "[validate]") {
  for (const Quant quant : kQuants) {
    for (const ScaleLayout layout : kLayouts) {
      for (const DataType dtype : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
        INFO(to_string(quant) << " " << to_string(layout) << " " << to_string(dtype));
        FusedCall call = valid_call(quant, layout, dtype);
        CHECK(refusal(call) == "");
        CHECK(refusal(call, Pointers::kIgnored) == "");
        call.gamma.dtype = DataType::kF32;
        call.residual_out = {};
        if (quant != Quant::kNone) call.output = {};
        CHECK(refusal(call) == "");
      }
    }
  }
  FusedCall nvfp4 = valid_call(Quant::kNvfp4);
  nvfp4.quant_out.dtype = DataType::kE2M1x2;
  nvfp4.scale_out.dtype = DataType::kU8;
  CHECK(refusal(nvfp4) == "");
  CHECK(refusal(valid_allreduce()) == "");
  CHECK(refusal(valid_allreduce(), Pointers::kIgnored) == "");
}

TEST_CASE("a call without tokens is accepted without tensors", "[validate]") {
  for (const Quant quant : kQuants) {
    for (const ScaleLayout layout : kLayouts) {
      INFO(to_string(quant) << " " << to_string(layout));
      FusedCall call = valid_call(quant, layout);
      for (Tensor* tensor : {&call.input, &call.residual_in, &call.output, &call.residual_out, &call.quant_out}) {
        *tensor = {nullptr, tensor->dtype, 0, tensor->columns};
      }
      call.gamma.data = nullptr;
      if (quant == Quant::kNvfp4 && layout != ScaleLayout::kLinear) {
        call.scale_out = {nullptr, DataType::kE4M3, 1, 0};
      } else {
        call.scale_out = {nullptr, call.scale_out.dtype, 0, call.scale_out.columns};
      }
      CHECK(refusal(call) == "");
      CHECK(refusal(call, Pointers::kIgnored) == "");
    }
  }
  AllReduceCall call = valid_allreduce();
  call.input = call.output = {nullptr, DataType::kBF16, 0, kHidden};
  CHECK(refusal(call) == "");
}

TEST_CASE("a call that is prepared needs no addresses, but all the rest", "[validate]") {
  FusedCall call = valid_call(Quant::kNvfp4);
  call.input.data = call.residual_in.data = call.gamma.data = nullptr;
  call.quant_out.data = call.scale_out.data = nullptr;
  call.output.data = call.residual_out.data = at(1);
  CHECK(refusal(call, Pointers::kIgnored) == "");
  call.scale_out.columns = 511;
  CHECK(refusal(call, Pointers::kIgnored) == "scale_out: [1, 511] was given; [1, 512] is needed");

  call = valid_call(Quant::kNone);
  call.output = {};
  CHECK(refusal(call, Pointers::kIgnored) ==
        "output: a null pointer was given; the call without quantization needs it");

  AllReduceCall sum = valid_allreduce();
  sum.input.data = sum.output.data = nullptr;
  CHECK(refusal(sum, Pointers::kIgnored) == "");
  sum.output.rows = 1;
  CHECK(refusal(sum, Pointers::kIgnored) == "output: [1, 64] was given; [128, 64] is needed");
}

TEST_CASE("the call with quantization and the one without refuse each other's quant", "[validate]") {
  const std::string quantized =
      "fp8 (1), nvfp4 (2) or dynamic_fp8 (3) is allowed; fused_allreduce_add_rmsnorm is the call without quantization";
  const std::string plain = "none (0) is allowed; fused_allreduce_add_rmsnorm_quant is the call with quantization";
  FusedCall call = valid_call(Quant::kNone);
  CHECK(refusal_as(call, true) == "quant: none (0) was given; " + quantized);
  CHECK(refusal_as(valid_call(Quant::kFp8), false) == "quant: fp8 (1) was given; " + plain);
  CHECK(refusal_as(valid_call(Quant::kNvfp4), false) == "quant: nvfp4 (2) was given; " + plain);
  CHECK(refusal_as(valid_call(Quant::kDynamicFp8), false) == "quant: dynamic_fp8 (3) was given; " + plain);
  call.quant = static_cast<Quant>(4);
  CHECK(refusal_as(call, true) == "quant: unknown (4) was given; " + quantized);
  CHECK(refusal_as(call, false) == "quant: unknown (4) was given; " + plain);
}

TEST_CASE("a null pointer is refused by name, before any shape", "[validate]") {
  for (const Quant quant : kQuants) {
    INFO(to_string(quant));
    const std::string needed = ": a null pointer was given; a tensor is needed";
    CHECK(refusal_of(quant, [](FusedCall& call) { call.input.data = nullptr; }) == "input" + needed);
    CHECK(refusal_of(quant, [](FusedCall& call) { call.residual_in = {}; }) == "residual_in" + needed);
    CHECK(refusal_of(quant, [](FusedCall& call) { call.gamma = {}; }) == "gamma" + needed);
    if (quant == Quant::kNone) continue;
    CHECK(refusal_of(quant, [](FusedCall& call) { call.quant_out = {}; }) == "quant_out" + needed);
    if (quant == Quant::kFp8) continue;
    CHECK(refusal_of(quant, [](FusedCall& call) { call.scale_out = {}; }) == "scale_out" + needed);
  }
  CHECK(refusal_of(Quant::kNone, [](FusedCall& call) { call.output = {}; }) ==
        "output: a null pointer was given; the call without quantization needs it");
  AllReduceCall call = valid_allreduce();
  call.input.data = nullptr;
  CHECK(refusal(call) == "input: a null pointer was given; a tensor is needed");
  call = valid_allreduce();
  call.output = {};
  CHECK(refusal(call) == "output: a null pointer was given; a tensor is needed");
}

TEST_CASE("a tensor that the call has no use for is refused", "[validate]") {
  const Tensor tensor = valid_call(Quant::kDynamicFp8).scale_out;
  CHECK(refusal_of(Quant::kFp8, [&](FusedCall& call) { call.scale_out = tensor; }) ==
        "scale_out: a tensor was given; fp8 with a static scale has none");
  CHECK(refusal_of(Quant::kNone, [&](FusedCall& call) { call.scale_out = tensor; }) ==
        "scale_out: a tensor was given; the call without quantization has none");
  CHECK(refusal_of(Quant::kNone, [&](FusedCall& call) { call.quant_out = tensor; }) ==
        "quant_out: a tensor was given; the call without quantization has none");
}

TEST_CASE("a misaligned pointer is refused with its address", "[validate]") {
  for (Tensor FusedCall::* const tensor : {&FusedCall::input, &FusedCall::residual_in, &FusedCall::gamma,
                                           &FusedCall::output, &FusedCall::residual_out, &FusedCall::quant_out}) {
    for (const std::uintptr_t offset : {1, 2, 8, 15}) {
      FusedCall call = valid_call(Quant::kNvfp4);
      (call.*tensor).data = at(0x90000 + offset);
      const std::string message = refusal(call);
      const std::string needed =
          fmt::format(": address {:#x} was given; a multiple of 16 bytes is needed", 0x90000 + offset);
      CHECK(message.substr(message.find(':')) == needed);
    }
  }
  const auto misaligned = [](Tensor FusedCall::* tensor) {
    FusedCall call = valid_call(Quant::kNvfp4);
    (call.*tensor).data = at(0x90008);
    return refusal(call);
  };
  const std::string needed = ": address 0x90008 was given; a multiple of 16 bytes is needed";
  CHECK(misaligned(&FusedCall::input) == "input" + needed);
  CHECK(misaligned(&FusedCall::residual_in) == "residual_in" + needed);
  CHECK(misaligned(&FusedCall::gamma) == "gamma" + needed);
  CHECK(misaligned(&FusedCall::output) == "output" + needed);
  CHECK(misaligned(&FusedCall::residual_out) == "residual_out" + needed);
  CHECK(misaligned(&FusedCall::quant_out) == "quant_out" + needed);
  CHECK(refusal_of(Quant::kDynamicFp8, [](FusedCall& call) { call.scale_out.data = at(0x90002); }) ==
        "scale_out: address 0x90002 was given; a multiple of 4 bytes is needed");
  CHECK(refusal_of(Quant::kNvfp4, [](FusedCall& call) { call.scale_out.data = at(0x90001); }) == "");
  CHECK(refusal_of(Quant::kFp8, [](FusedCall& call) {
          call.output_scale_pointer = static_cast<const float*>(at(0x90001));
        }) == "output_scale_pointer: address 0x90001 was given; a multiple of 4 bytes is needed");
  CHECK(refusal_of(Quant::kFp8,
                   [](FusedCall& call) { call.output_scale_pointer = static_cast<const float*>(at(0x90004)); }) == "");

  AllReduceCall call = valid_allreduce();
  call.input.data = at(0x90008);
  CHECK(refusal(call) == "input" + needed);
  call = valid_allreduce();
  call.output.data = at(0x90008);
  CHECK(refusal(call) == "output" + needed);
}

TEST_CASE("the layout SWIZZLED_8x4, and one that there is not, are refused", "[validate]") {
  for (const Quant quant : kQuants) {
    CHECK(refusal_of(quant, [](FusedCall& call) { call.layout = ScaleLayout::kSwizzled8x4; }) ==
          "layout: swizzled_8x4 (1) was given; swizzled_128x4 (0) or linear (2) is allowed");
  }
  CHECK(refusal_of(Quant::kNvfp4, [](FusedCall& call) { call.layout = static_cast<ScaleLayout>(3); }) ==
        "layout: unknown (3) was given; swizzled_128x4 (0) or linear (2) is allowed");
}

TEST_CASE("a strategy that there is not is refused", "[validate]") {
  for (const int number : {2, 98, 255}) {
    const std::string message =
        "strategy: " + std::to_string(number) + " was given; one_shot (0), two_shot (1) or auto (99) is allowed";
    CHECK(refusal_of(Quant::kFp8, [&](FusedCall& call) { call.strategy = static_cast<Strategy>(number); }) == message);
    AllReduceCall call = valid_allreduce();
    call.strategy = static_cast<Strategy>(number);
    CHECK(refusal(call) == message);
  }
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot, Strategy::kAuto}) {
    CHECK(refusal_of(Quant::kFp8, [&](FusedCall& call) { call.strategy = strategy; }) == "");
  }
}

TEST_CASE("numbers that make no sense are refused", "[validate]") {
  const auto epsilon = [](float value) {
    return refusal_of(Quant::kNone, [&](FusedCall& call) { call.epsilon = value; });
  };
  CHECK(epsilon(kNan) == "epsilon: nan was given; a finite number >= 0 is allowed");
  CHECK(epsilon(-1e-6F) == "epsilon: -1e-06 was given; a finite number >= 0 is allowed");
  CHECK(epsilon(kInfinity) == "epsilon: inf was given; a finite number >= 0 is allowed");
  CHECK(epsilon(-kInfinity) == "epsilon: -inf was given; a finite number >= 0 is allowed");
  CHECK(epsilon(0.0F) == "");
  CHECK(epsilon(1e-5F) == "");

  const auto weight_bias = [](float value) {
    return refusal_of(Quant::kNone, [&](FusedCall& call) { call.weight_bias = value; });
  };
  CHECK(weight_bias(kNan) == "weight_bias: nan was given; a finite number is allowed");
  CHECK(weight_bias(kInfinity) == "weight_bias: inf was given; a finite number is allowed");
  CHECK(weight_bias(-kInfinity) == "weight_bias: -inf was given; a finite number is allowed");
  CHECK(weight_bias(-1.0F) == "");

  for (const Quant quant : kQuants) {
    const auto output_scale = [&](float value, bool by_pointer) {
      return refusal_of(quant, [&](FusedCall& call) {
        call.output_scale = value;
        if (by_pointer) call.output_scale_pointer = static_cast<const float*>(at(0x80000));
      });
    };
    CHECK(output_scale(0.0F, false) == "output_scale: 0 was given; a finite number other than 0 is allowed");
    CHECK(output_scale(-0.0F, false) == "output_scale: -0 was given; a finite number other than 0 is allowed");
    CHECK(output_scale(kNan, false) == "output_scale: nan was given; a finite number other than 0 is allowed");
    CHECK(output_scale(kInfinity, false) == "output_scale: inf was given; a finite number other than 0 is allowed");
    CHECK(output_scale(-2.0F, false) == "");
    CHECK(output_scale(0.0F, true) == "");
    CHECK(output_scale(kNan, true) == "");
  }
}
