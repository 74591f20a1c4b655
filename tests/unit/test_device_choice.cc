// What runs the kernels: GPUs or the simulator, by option, by ALLNORM_DEVICE, or by what is here.
#include <string>

#include "allnorm/context.h"
#include "allnorm/workspace.h"
#include "api/context_impl.h"
#include "catch.h"
#include "device/sim/machine.h"
#include "environment.h"
#include "error_of.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

using Kind = DeviceChoice::Kind;

Env parse(const std::string& device) {
  return Env::parse([&](const char* name) { return name == std::string("ALLNORM_DEVICE") ? device.c_str() : nullptr; });
}

const char* const kNonsense[] = {"gpu",    "CUDA",   "cuda:0", "sim:",   "sim:0",   "sim:73", "sim:-1",
                                 "sim:+2", "sim: 2", "sim:2 ", "sim:2x", "sim:0x2", " sim",   "simulator"};

}  // namespace

TEST_CASE("a device is cuda, sim or sim:N, or what is here") {
  CHECK(parse("").device == DeviceChoice{Kind::kAutomatic, 8});
  CHECK(parse("cuda").device.kind == Kind::kCuda);
  CHECK(parse("sim").device == DeviceChoice{Kind::kSimulator, 8});
  CHECK(parse("sim:1").device == DeviceChoice{Kind::kSimulator, 1});
  CHECK(parse("sim:72").device == DeviceChoice{Kind::kSimulator, 72});
}

TEST_CASE("any other device is refused with what is allowed") {
  const NoDriver no_driver;
  for (const std::string device : kNonsense) {
    INFO(device);
    CHECK(error_of(ErrorCode::kInvalidEnvironment, [&] { parse(device); }) ==
          "ALLNORM_DEVICE=\"" + device +
              "\" is not allowed: it must be cuda, sim or sim:N with N from 1 to 72. Correct it, or unset it.");
    CHECK(error_of(ErrorCode::kInvalidArgument, [&] { const Context context({.device = device}); }) ==
          "device: \"" + device +
              "\" was given; cuda, sim or sim:N with N from 1 to 72 is allowed, or nothing for $ALLNORM_DEVICE");
  }
}

TEST_CASE("a context has as many simulated GPUs as were asked for, and says nothing about it") {
  const NoDriver no_driver;
  const LogCapture log;
  Context context({.device = "sim:2"});
  CHECK(context.is_simulated());
  CHECK(context.device_count() == 2);
  CHECK(context.impl().machine() != nullptr);
  CHECK(context.impl().machine()->options().devices == 2);
  CHECK(log.of(LogLevel::kWarn).empty());
  CHECK(Context({.device = "sim"}).device_count() == 8);

  CHECK(context.impl().device(1).ordinal() == 1);
  CHECK(error_of(ErrorCode::kInvalidArgument, [&] {
          World(context, {.devices = {0, 2}, .max_row_bytes = 1024, .max_tokens_one_shot = 1});
        }) == "devices: GPU 2 was given; this simulator has GPUs 0 to 1");
  CHECK(error_of(ErrorCode::kInvalidArgument, [&] { context.synchronize(-1); }) ==
        "device: GPU -1 was given; this simulator has GPUs 0 to 1");
  context.synchronize(1);  // nothing runs there
}

TEST_CASE("cuda without a driver is an error, whoever asks for it") {
  const NoDriver no_driver;
  const std::string words = error_of(ErrorCode::kDriver, [] { const Context context({.device = "cuda"}); });
  CHECK(words.starts_with("the CUDA driver could not be loaded (/nonexistent/libcuda.so.1: "));
  CHECK(words.ends_with("; install the NVIDIA driver, or name its library in ALLNORM_DRIVER"));
  const Variable device("ALLNORM_DEVICE", "cuda");
  CHECK(error_of(ErrorCode::kDriver, [] { const Context context; }) == words);
}

TEST_CASE("without a driver, and without a choice, the simulator stands in, with one warning") {
  const NoDriver no_driver;
  const LogCapture log;
  const Context context;
  CHECK(context.is_simulated());
  CHECK(context.device_count() == 8);
  const std::vector<std::string> warnings = log.of(LogLevel::kWarn);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].starts_with(
      "no GPU can be used, so 8 simulated ones on the CPU stand in for it: for trying out and testing, and slow; "
      "ALLNORM_DEVICE=cuda makes this an error. The reason: the CUDA driver could not be loaded ("));
  CHECK(warnings[0].find('\n') == std::string::npos);
}

TEST_CASE("the option wins over ALLNORM_DEVICE, which wins over what is here") {
  const NoDriver no_driver;
  const LogCapture log;
  const Variable device("ALLNORM_DEVICE", "sim:3");
  CHECK(Context().device_count() == 3);
  CHECK(Context({.device = "sim:4"}).device_count() == 4);
  CHECK(log.of(LogLevel::kWarn).empty());
}
