#include "env/device_choice.h"

#include <charconv>
#include <system_error>

#include "allnorm/types.h"

namespace allnorm {

static_assert(kMaxWorldSize == 72);  // as kDeviceChoices says: a GPU for each rank of the largest world

std::optional<DeviceChoice> parse_device_choice(std::string_view text) noexcept {
  using Kind = DeviceChoice::Kind;
  if (text.empty()) return DeviceChoice{};
  if (text == "cuda") return DeviceChoice{Kind::kCuda};
  if (text == "sim") return DeviceChoice{Kind::kSimulator};
  constexpr std::string_view kPrefix = "sim:";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  int count = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, count);
  if (error != std::errc() || stop != end || count < 1 || count > kMaxWorldSize) return std::nullopt;
  return DeviceChoice{Kind::kSimulator, count};
}

}  // namespace allnorm
