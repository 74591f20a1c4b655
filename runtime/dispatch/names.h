// Names of enumerators, both ways: what tables, flags and messages say.
//
// A name is whatever to_string gives, so each name is written once. The arrays hold the allowed
// values in the order in which messages list them; a caller that allows fewer passes its own array.
// Thread safety: everything here is stateless. Not for the hot path: parsing errors allocate.
#ifndef ALLNORM_DISPATCH_NAMES_H_
#define ALLNORM_DISPATCH_NAMES_H_

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "allnorm/types.h"
#include "dispatch/spec.h"

namespace allnorm {

const char* to_string(Operation operation) noexcept;
const char* to_string(Pdl pdl) noexcept;

inline constexpr std::array kDataTypes = {DataType::kF32,  DataType::kF16, DataType::kBF16,
                                          DataType::kE4M3, DataType::kU8,  DataType::kE2M1x2};
/// The formats that rows come in.
inline constexpr std::array kRowDataTypes = {DataType::kF32, DataType::kF16, DataType::kBF16};
inline constexpr std::array kQuants = {Quant::kNone, Quant::kFp8, Quant::kNvfp4, Quant::kDynamicFp8};
inline constexpr std::array kLayouts = {ScaleLayout::kSwizzled128x4, ScaleLayout::kSwizzled8x4, ScaleLayout::kLinear};
inline constexpr std::array kStrategies = {Strategy::kOneShot, Strategy::kTwoShot, Strategy::kAuto};
/// The strategies that kernels have.
inline constexpr std::array kKernelStrategies = {Strategy::kOneShot, Strategy::kTwoShot};
inline constexpr std::array kTransports = {Transport::kUnicast, Transport::kMulticast};
inline constexpr std::array kOperations = {Operation::kAllReduce, Operation::kFused, Operation::kCompareCalls,
                                           Operation::kTestMulticast};
/// Those that users call.
inline constexpr std::array kCallOperations = {Operation::kAllReduce, Operation::kFused};
inline constexpr std::array kTargets = {Target::kSm90a, Target::kSm100a, Target::kSm103a, Target::kSm120a,
                                        Target::kHost};
/// The targets that NVRTC compiles for.
inline constexpr std::array kGpuTargets = {Target::kSm90a, Target::kSm100a, Target::kSm103a, Target::kSm120a};
inline constexpr std::array kPdls = {Pdl::kOff, Pdl::kEarlyTrigger, Pdl::kLateTrigger};

template <typename Enum, std::size_t kCount>
bool is_one_of(Enum value, const std::array<Enum, kCount>& allowed) noexcept {
  return std::find(allowed.begin(), allowed.end(), value) != allowed.end();
}

/// The value of that name, if it is allowed.
template <typename Enum, std::size_t kCount>
std::optional<Enum> find_name(std::string_view name, const std::array<Enum, kCount>& allowed) noexcept {
  for (const Enum value : allowed) {
    if (name == to_string(value)) return value;
  }
  return std::nullopt;
}

/// "one_shot, two_shot": the end of an error message.
template <typename Enum, std::size_t kCount>
std::string list_names(const std::array<Enum, kCount>& allowed) {
  std::string list;
  for (const Enum value : allowed) {
    if (!list.empty()) list += ", ";
    list += to_string(value);
  }
  return list;
}

/// The inverse of to_string. Throws kInvalidArgument with the names that are allowed.
DataType parse_data_type(std::string_view name);
Quant parse_quant(std::string_view name);
ScaleLayout parse_layout(std::string_view name);
Strategy parse_strategy(std::string_view name);
Transport parse_transport(std::string_view name);
Operation parse_operation(std::string_view name);
Pdl parse_pdl(std::string_view name);

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_NAMES_H_
