#include "dispatch/names.h"

#include <fmt/format.h>

#include "allnorm/error.h"

namespace allnorm {
namespace {

template <typename Enum, std::size_t kCount>
Enum parse(const char* argument, std::string_view name, const std::array<Enum, kCount>& allowed) {
  if (const auto value = find_name(name, allowed)) return *value;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: \"{}\" given, allowed: {}", argument, name, list_names(allowed)));
}

}  // namespace

const char* to_string(Target target) noexcept {
  switch (target) {
    case Target::kSm90a: return "sm_90a";
    case Target::kSm100a: return "sm_100a";
    case Target::kSm103a: return "sm_103a";
    case Target::kSm120a: return "sm_120a";
    case Target::kHost: return "host";
  }
  return "unknown";
}

const char* to_string(Transport transport) noexcept {
  switch (transport) {
    case Transport::kUnicast: return "unicast";
    case Transport::kMulticast: return "multicast";
  }
  return "unknown";
}

const char* to_string(Operation operation) noexcept {
  switch (operation) {
    case Operation::kAllReduce: return "all_reduce";
    case Operation::kFused: return "fused";
    case Operation::kCompareCalls: return "compare_calls";
    case Operation::kTestMulticast: return "test_multicast";
  }
  return "unknown";
}

const char* to_string(Pdl pdl) noexcept {
  switch (pdl) {
    case Pdl::kOff: return "off";
    case Pdl::kEarlyTrigger: return "early_trigger";
    case Pdl::kLateTrigger: return "late_trigger";
  }
  return "unknown";
}

Target parse_target(const std::string& name) { return parse("target", name, kTargets); }
DataType parse_data_type(std::string_view name) { return parse("dtype", name, kDataTypes); }
Quant parse_quant(std::string_view name) { return parse("quant", name, kQuants); }
ScaleLayout parse_layout(std::string_view name) { return parse("layout", name, kLayouts); }
Strategy parse_strategy(std::string_view name) { return parse("strategy", name, kStrategies); }
Transport parse_transport(std::string_view name) { return parse("transport", name, kTransports); }
Operation parse_operation(std::string_view name) { return parse("operation", name, kOperations); }
Pdl parse_pdl(std::string_view name) { return parse("pdl", name, kPdls); }

}  // namespace allnorm
