// The C ABI: codes, messages, struct sizes.
#include "api/c_api.h"

#include <new>
#include <string>

#include "allnorm/version.h"

namespace allnorm::c_api {
namespace {

// The text, or a literal where there was no memory for it.
thread_local std::string last_message;
thread_local const char* last_literal = nullptr;

void keep(const char* text) noexcept {
  try {
    last_message = text;
    last_literal = nullptr;
  } catch (...) {
    last_literal = "an error, and no host memory left for its text";
  }
}

}  // namespace

allnorm_status report_current_exception() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    keep(error.what());
    return static_cast<allnorm_status>(error.code());
  } catch (const std::bad_alloc&) {
    last_literal = "host memory ran out";
  } catch (const std::exception& error) {
    keep(error.what());
  } catch (...) {
    last_literal = "an exception of an unknown type";
  }
  return ALLNORM_INTERNAL;
}

void check_struct_size(std::size_t given, std::size_t smallest, std::size_t known, const char* argument) {
  if (given >= smallest && given <= known) return;
  const std::string advice =
      given > known ? fmt::format("the program was compiled for a newer AllNorm than {}", ALLNORM_VERSION_STRING)
                    : std::string("fill the struct with its init function first");
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}.struct_size: {} was given; allowed are {} to {}; {}",
                                                       argument, given, smallest, known, advice));
}

DataType to_data_type(allnorm_data_type number, const char* argument) {
  return to_enum(number,
                 {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kE4M3, DataType::kU8, DataType::kE2M1x2},
                 argument);
}

Strategy to_strategy(allnorm_strategy number, const char* argument) {
  return to_enum(number, {Strategy::kOneShot, Strategy::kTwoShot, Strategy::kAuto}, argument);
}

}  // namespace allnorm::c_api

using namespace allnorm;

const char* allnorm_status_name(allnorm_status status) {
  if (status == ALLNORM_OK) return "ok";
  if (status == ALLNORM_INTERNAL) return "internal";
  return to_string(static_cast<ErrorCode>(status));
}

const char* allnorm_last_error_message(void) {
  return c_api::last_literal != nullptr ? c_api::last_literal : c_api::last_message.c_str();
}

const char* allnorm_version(void) { return ALLNORM_VERSION_STRING; }
