// Memory that tensors of a call may share, and must not.
#include <fmt/format.h>

#include <array>
#include <string_view>

#include "catch.h"
#include "valid_calls.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

constexpr std::string_view kNever = "an output must not share memory with it";
constexpr std::string_view kExactly = "it may be the same tensor exactly, or must be apart";

/// A tensor of the call, or its output_scale_pointer.
struct Region {
  const char* name;
  Tensor FusedCall::* tensor;

  std::uintptr_t begin(const FusedCall& call) const {
    return tensor == nullptr ? reinterpret_cast<std::uintptr_t>(call.output_scale_pointer)
                             : reinterpret_cast<std::uintptr_t>((call.*tensor).data);
  }
  std::uintptr_t end(const FusedCall& call) const {
    return begin(call) + (tensor == nullptr ? sizeof(float) : (call.*tensor).bytes());
  }
};

constexpr std::array kInputs = {Region{"input", &FusedCall::input}, Region{"residual_in", &FusedCall::residual_in},
                                Region{"gamma", &FusedCall::gamma}, Region{"output_scale_pointer", nullptr}};
constexpr std::array kOutputs = {Region{"output", &FusedCall::output}, Region{"residual_out", &FusedCall::residual_out},
                                 Region{"quant_out", &FusedCall::quant_out},
                                 Region{"scale_out", &FusedCall::scale_out}};

FusedCall call_with_everything() {
  FusedCall call = valid_call(Quant::kNvfp4, ScaleLayout::kLinear);
  call.output_scale_pointer = static_cast<const float*>(at(0x80000));
  return call;
}

/// The message that names `first` before `second`.
std::string overlap_of(const FusedCall& call, const Region& first, const Region& second, std::string_view allowed) {
  return fmt::format("{}: overlaps {} ({:#x} to {:#x}, and {:#x} to {:#x}); {}", first.name, second.name,
                     first.begin(call), first.end(call), second.begin(call), second.end(call), allowed);
}

/// Moves `moved` over `fixed` in every way, and next to it.
void check_pair(const Region& moved, const Region& fixed, const Region& first, const Region& second,
                std::string_view allowed) {
  FusedCall call = call_with_everything();
  const std::uintptr_t bytes = moved.end(call) - moved.begin(call);
  const std::uintptr_t begin = fixed.begin(call);
  const std::uintptr_t end = fixed.end(call);
  const std::uintptr_t last = (end - 1) / 16 * 16;
  for (const std::uintptr_t address : {begin - bytes + 16, begin - 16, begin, last}) {
    (call.*moved.tensor).data = at(address);
    INFO(fmt::format("{} at {:#x}", moved.name, address));
    const bool is_same = address == begin && moved.end(call) == end;
    CHECK(refusal(call) == (allowed == kExactly && is_same ? "" : overlap_of(call, first, second, allowed)));
  }
  for (const std::uintptr_t address : {begin - bytes, (end + 15) / 16 * 16}) {
    (call.*moved.tensor).data = at(address);
    INFO(fmt::format("{} next to {}, at {:#x}", moved.name, fixed.name, address));
    CHECK(refusal(call) == "");
  }
}

}  // namespace

TEST_CASE("an output that overlaps an input is refused, but for the same tensor in place", "[validate]") {
  for (const Region& output : kOutputs) {
    for (const Region& input : kInputs) {
      const bool in_place = (output.tensor == &FusedCall::output && input.tensor == &FusedCall::input) ||
                            (output.tensor == &FusedCall::residual_out && input.tensor == &FusedCall::residual_in);
      check_pair(output, input, output, input, in_place ? kExactly : kNever);
    }
  }
}

TEST_CASE("an output that overlaps another output is refused", "[validate]") {
  for (std::size_t i = 0; i < kOutputs.size(); ++i) {
    for (std::size_t j = i + 1; j < kOutputs.size(); ++j) {
      check_pair(kOutputs[i], kOutputs[j], kOutputs[i], kOutputs[j], kNever);
      check_pair(kOutputs[j], kOutputs[i], kOutputs[i], kOutputs[j], kNever);
    }
  }
}

TEST_CASE("a call in place is accepted, and inputs may share memory", "[validate]") {
  FusedCall call = call_with_everything();
  call.output.data = call.input.data;
  call.residual_out.data = call.residual_in.data;
  CHECK(refusal(call) == "");

  call = call_with_everything();
  call.residual_in.data = call.input.data;
  call.gamma.data = call.input.data;
  call.output_scale_pointer = static_cast<const float*>(call.input.data);
  CHECK(refusal(call) == "");
  // Then the output is in place of two of them.
  call.output.data = call.input.data;
  CHECK(refusal(call).find("output: overlaps gamma") == 0);
  call.gamma.data = at(0x30000);
  call.output_scale_pointer = nullptr;
  CHECK(refusal(call) == overlap_of(call, kOutputs[0], kInputs[1], kNever));
}

TEST_CASE("tensors that are not given overlap nothing", "[validate]") {
  FusedCall call = valid_call(Quant::kFp8);
  call.output = {nullptr, DataType::kBF16, kTokens, kHidden};
  call.residual_out = {nullptr, DataType::kBF16, kTokens, kHidden};
  call.input.data = at(16);
  CHECK(refusal(call) == "");
}

TEST_CASE("the sum may be in place, and overlaps its input in no other way", "[validate]") {
  AllReduceCall call = valid_allreduce();
  call.output.data = call.input.data;
  CHECK(refusal(call) == "");
  call.output.data = at(0x10010);
  CHECK(refusal(call) ==
        "output: overlaps input (0x10010 to 0x14010, and 0x10000 to 0x14000); it may be the same tensor exactly, or "
        "must be apart");
  call.output.data = at(0xfff0);
  CHECK(refusal(call) ==
        "output: overlaps input (0xfff0 to 0x13ff0, and 0x10000 to 0x14000); it may be the same tensor exactly, or "
        "must be apart");
  for (const std::uintptr_t beside : {0xc000, 0x14000}) {
    call.output.data = at(beside);
    CHECK(refusal(call) == "");
  }
}
