// DeviceChoice: what runs the kernels, as ContextOptions::device and ALLNORM_DEVICE name it.
//
// A plain value.
#ifndef ALLNORM_ENV_DEVICE_CHOICE_H_
#define ALLNORM_ENV_DEVICE_CHOICE_H_

#include <optional>
#include <string_view>

namespace allnorm {

struct DeviceChoice {
  enum class Kind : unsigned char {
    kAutomatic,  ///< GPUs, or where there are none, the simulator.
    kCuda,
    kSimulator
  };
  Kind kind = Kind::kAutomatic;
  int simulated_gpus = 8;  ///< Whether or not the simulator was chosen.
  bool operator==(const DeviceChoice&) const = default;
};

/// For messages: "... is allowed", "it must be ...".
inline constexpr const char* kDeviceChoices = "cuda, sim or sim:N with N from 1 to 72";

/// Empty: automatic. Nothing if it is none of kDeviceChoices either.
std::optional<DeviceChoice> parse_device_choice(std::string_view text) noexcept;

}  // namespace allnorm

#endif  // ALLNORM_ENV_DEVICE_CHOICE_H_
