#include "device/sim/schedule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "allnorm/error.h"
#include "device/sim/operations.h"

namespace allnorm::sim {
namespace {

template <typename Number>
Number parse_number(std::string_view name, std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("stall: {}={} given, a whole number is allowed", name, text));
  }
  return number;
}

}  // namespace

const char* to_string(Policy policy) noexcept {
  switch (policy) {
    case Policy::kRandom: return "random";
    case Policy::kRoundRobin: return "round_robin";
    case Policy::kStarve: return "starve";
    default: return "replay";
  }
}

Stall parse_stall(const std::string& text) {
  Stall stall;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(part.size() + (part.size() < rest.size() ? 1 : 0));
    const std::string_view name = part.substr(0, part.find('='));
    const std::string_view value = name.size() < part.size() ? part.substr(name.size() + 1) : std::string_view();
    if (name == "rank") {
      stall.rank = parse_number<int>(name, value);
    } else if (name == "cta") {
      stall.cta = parse_number<int>(name, value);
    } else if (name == "thread") {
      stall.thread = parse_number<int>(name, value);
    } else if (name == "at") {
      stall.point = value;
    } else if (name == "occurrence") {
      stall.occurrence = parse_number<std::uint64_t>(name, value);
      if (stall.occurrence == 0) {
        throw Error(ErrorCode::kInvalidArgument, "stall: occurrence=0 given, the first is 1");
      }
    } else if (name == "steps") {
      stall.steps = parse_number<std::uint64_t>(name, value);
    } else if (name == "milliseconds") {
      stall.milliseconds = parse_number<std::uint64_t>(name, value);
    } else {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("stall: {} given, allowed: rank, cta, thread, at, occurrence, steps, milliseconds", name));
    }
  }
  const auto names = operation_names();
  const auto is_point = [&](const char* name) { return stall.point == name; };
  if (!stall.point.empty() && stall.point.find(':') == std::string::npos &&
      std::none_of(names.begin(), names.end(), is_point)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("stall: at={} given, allowed: a line as protocol.cuh:95, or {}", stall.point,
                            fmt::join(names, ", ")));
  }
  if (stall.point.empty()) throw Error(ErrorCode::kInvalidArgument, "stall: at=POINT is missing, as in at=barrier_cta");
  return stall;
}

}  // namespace allnorm::sim
