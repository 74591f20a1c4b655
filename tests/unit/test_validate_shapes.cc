// dtypes and shapes: what each call allows, by the message of the call that has them wrong.
#include <limits>
#include <string>

#include "catch.h"
#include "valid_calls.h"

using namespace allnorm;
using namespace allnorm::testing;

TEST_CASE("a dtype that the call does not have is refused with those that it has", "[validate]") {
  for (const DataType dtype : {DataType::kE4M3, DataType::kU8, DataType::kE2M1x2, static_cast<DataType>(9)}) {
    const std::string message =
        std::string("input.dtype: ") + to_string(dtype) + " was given; f32, f16 or bf16 is allowed";
    CHECK(refusal_of(Quant::kFp8, [&](FusedCall& call) { call.input.dtype = dtype; }) == message);
    AllReduceCall call = valid_allreduce();
    call.input.dtype = dtype;
    CHECK(refusal(call) == message);
  }
  const DataType f16 = DataType::kF16;
  CHECK(refusal_of(Quant::kFp8, [&](FusedCall& call) { call.residual_in.dtype = f16; }) ==
        "residual_in: dtype f16 was given; bf16 is needed");
  CHECK(refusal_of(Quant::kFp8, [&](FusedCall& call) { call.gamma.dtype = f16; }) ==
        "gamma: dtype f16 was given; bf16 or f32 is needed");
  CHECK(refusal_of(Quant::kFp8, [&](FusedCall& call) { call.output.dtype = f16; }) ==
        "output: dtype f16 was given; bf16 is needed");
  CHECK(refusal_of(Quant::kFp8, [&](FusedCall& call) { call.residual_out.dtype = f16; }) ==
        "residual_out: dtype f16 was given; bf16 is needed");
  CHECK(refusal_of(Quant::kFp8, [](FusedCall& call) { call.quant_out.dtype = DataType::kU8; }) ==
        "quant_out: dtype u8 was given; e4m3 is needed");
  CHECK(refusal_of(Quant::kDynamicFp8, [](FusedCall& call) { call.quant_out.dtype = DataType::kE2M1x2; }) ==
        "quant_out: dtype e2m1x2 was given; e4m3 is needed");
  CHECK(refusal_of(Quant::kNvfp4, [](FusedCall& call) { call.quant_out.dtype = DataType::kE4M3; }) ==
        "quant_out: dtype e4m3 was given; u8 or e2m1x2 is needed");
  CHECK(refusal_of(Quant::kNvfp4, [](FusedCall& call) { call.scale_out.dtype = DataType::kF32; }) ==
        "scale_out: dtype f32 was given; e4m3 or u8 is needed");
  CHECK(refusal_of(Quant::kDynamicFp8, [&](FusedCall& call) { call.scale_out.dtype = f16; }) ==
        "scale_out: dtype f16 was given; f32 is needed");

  FusedCall f32 = valid_call(Quant::kNone, ScaleLayout::kLinear, DataType::kF32);
  f32.gamma.dtype = f16;
  CHECK(refusal(f32) == "gamma: dtype f16 was given; f32 is needed");
  AllReduceCall sum = valid_allreduce();
  sum.output.dtype = f16;
  CHECK(refusal(sum) == "output: dtype f16 was given; bf16 is needed");
}

TEST_CASE("a shape that does not follow from the input's is refused with the one that does", "[validate]") {
  const auto shaped = [](Quant quant, Tensor FusedCall::* tensor, std::int64_t rows, std::int64_t columns,
                         ScaleLayout layout = ScaleLayout::kSwizzled128x4) {
    FusedCall call = valid_call(quant, layout);
    (call.*tensor).rows = rows;
    (call.*tensor).columns = columns;
    return refusal(call);
  };
  CHECK(shaped(Quant::kFp8, &FusedCall::residual_in, 127, 64) ==
        "residual_in: [127, 64] was given; [128, 64] is needed");
  CHECK(shaped(Quant::kFp8, &FusedCall::residual_in, 64, 128) ==
        "residual_in: [64, 128] was given; [128, 64] is needed");
  CHECK(shaped(Quant::kFp8, &FusedCall::gamma, 64, 1) == "gamma: [64, 1] was given; [1, 64] is needed");
  CHECK(shaped(Quant::kFp8, &FusedCall::gamma, 1, 72) == "gamma: [1, 72] was given; [1, 64] is needed");
  CHECK(shaped(Quant::kFp8, &FusedCall::output, 128, 32) == "output: [128, 32] was given; [128, 64] is needed");
  CHECK(shaped(Quant::kFp8, &FusedCall::residual_out, 129, 64) ==
        "residual_out: [129, 64] was given; [128, 64] is needed");
  CHECK(shaped(Quant::kFp8, &FusedCall::quant_out, 128, 32) == "quant_out: [128, 32] was given; [128, 64] is needed");
  CHECK(shaped(Quant::kDynamicFp8, &FusedCall::quant_out, -1, 64) ==
        "quant_out: [-1, 64] was given; [128, 64] is needed");
  CHECK(shaped(Quant::kNvfp4, &FusedCall::quant_out, 128, 64) == "quant_out: [128, 64] was given; [128, 32] is needed");
  CHECK(shaped(Quant::kDynamicFp8, &FusedCall::scale_out, 1, 128) ==
        "scale_out: [1, 128] was given; [128, 1] is needed");
  CHECK(shaped(Quant::kNvfp4, &FusedCall::scale_out, 128, 4) == "scale_out: [128, 4] was given; [1, 512] is needed");
  CHECK(shaped(Quant::kNvfp4, &FusedCall::scale_out, 1, 512, ScaleLayout::kLinear) ==
        "scale_out: [1, 512] was given; [128, 4] is needed");
  AllReduceCall call = valid_allreduce();
  call.output.columns = 72;
  CHECK(refusal(call) == "output: [128, 72] was given; [128, 64] is needed");
}

TEST_CASE("scales of the swizzled layout have room for whole tiles", "[validate]") {
  FusedCall call = valid_call(Quant::kNvfp4);
  for (Tensor* tensor : {&call.input, &call.residual_in, &call.output, &call.residual_out, &call.quant_out}) {
    tensor->rows = 129;
    tensor->columns = tensor == &call.quant_out ? 40 : 80;  // 5 blocks
  }
  call.gamma.columns = 80;
  CHECK(refusal(call) == "scale_out: [1, 512] was given; [1, 2048] is needed");
  call.scale_out.columns = 2048;
  CHECK(refusal(call) == "");
}

TEST_CASE("a number of tokens that no call has is refused", "[validate]") {
  const auto with_tokens = [](std::int64_t tokens) {
    return refusal_of(Quant::kFp8, [&](FusedCall& call) { call.input.rows = tokens; });
  };
  CHECK(with_tokens(-1) == "input.rows (num_tokens): -1 was given; 0 to 16777216 is allowed");
  CHECK(with_tokens(16777217) == "input.rows (num_tokens): 16777217 was given; 0 to 16777216 is allowed");
  CHECK(with_tokens(std::numeric_limits<std::int64_t>::max()) ==
        "input.rows (num_tokens): 9223372036854775807 was given; 0 to 16777216 is allowed");
  CHECK(with_tokens(16777216) == "residual_in: [128, 64] was given; [16777216, 64] is needed");
  AllReduceCall call = valid_allreduce();
  call.input.rows = -1;
  CHECK(refusal(call, Pointers::kIgnored) == "input.rows (num_tokens): -1 was given; 0 to 16777216 is allowed");
}

TEST_CASE("a hidden_dim that the quant or the dtype does not allow is refused with those that are", "[validate]") {
  const auto with_hidden = [](Quant quant, DataType dtype, std::int64_t hidden) {
    FusedCall call = valid_call(quant, ScaleLayout::kLinear, dtype);
    call.input.columns = hidden;
    return refusal(call);
  };
  const auto message = [](const std::string& given, const std::string& allowed) {
    return "input.columns (hidden_dim): " + given + " was given; multiples of " + allowed + " up to 65536 are allowed";
  };
  for (const std::int64_t hidden : {std::int64_t{-8}, std::int64_t{0}, std::int64_t{4}, std::int64_t{63},
                                    std::int64_t{65544}, std::int64_t{1} << 32}) {
    for (const Quant quant : {Quant::kNone, Quant::kFp8, Quant::kDynamicFp8}) {
      CHECK(with_hidden(quant, DataType::kBF16, hidden) == message(std::to_string(hidden), "8 (16 bytes of bf16)"));
    }
  }
  CHECK(with_hidden(Quant::kNone, DataType::kF16, 12) == message("12", "8 (16 bytes of f16)"));
  CHECK(with_hidden(Quant::kNone, DataType::kF32, 6) == message("6", "4 (16 bytes of f32)"));
  for (const DataType dtype : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    CHECK(with_hidden(Quant::kNvfp4, dtype, 8) == message("8", "16 (a block of nvfp4)"));
    CHECK(with_hidden(Quant::kNvfp4, dtype, 4104) == message("4104", "16 (a block of nvfp4)"));
  }
  // What one quant refuses, another takes: the next check speaks.
  CHECK(with_hidden(Quant::kFp8, DataType::kBF16, 4104) == "residual_in: [128, 64] was given; [128, 4104] is needed");
  CHECK(with_hidden(Quant::kFp8, DataType::kF32, 65536) == "residual_in: [128, 64] was given; [128, 65536] is needed");
  AllReduceCall call = valid_allreduce();
  call.input.columns = 4;
  CHECK(refusal(call) == message("4", "8 (16 bytes of bf16)"));
}
