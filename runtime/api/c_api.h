// What the C ABI is made of: exceptions to codes, structs that grow, numbers to enumerators.
//
// Everything here throws Error(kInvalidArgument) for what it refuses, within guarded(), from which nothing escapes. The
// good path allocates nothing: the calls go through it.
#ifndef ALLNORM_API_C_API_H_
#define ALLNORM_API_C_API_H_

#include <fmt/format.h>

#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "allnorm/allnorm_c.h"
#include "allnorm/buffer.h"
#include "allnorm/error.h"
#include "allnorm/fused.h"
#include "allnorm/workspace.h"

namespace allnorm::c_api {

/// The code for the exception in flight; keeps its text for allnorm_last_error_message().
allnorm_status report_current_exception() noexcept;

template <typename Body>
allnorm_status guarded(Body&& body) noexcept {
  try {
    body();
    return ALLNORM_OK;
  } catch (...) {
    return report_current_exception();
  }
}

inline void require_pointer(const void* pointer, const char* argument) {
  if (pointer != nullptr) return;
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: NULL was given; a pointer is needed", argument));
}

/// Throws unless a struct is as large as its first version (`smallest`) and no larger than the one known here.
void check_struct_size(std::size_t given, std::size_t smallest, std::size_t known, const char* argument);

/// A struct as the program knows it, in the size known here; what the program does not know is `defaults`'.
template <typename Struct>
Struct read_struct(const Struct* given, std::size_t smallest, const Struct& defaults, const char* argument) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  require_pointer(given, argument);
  const std::size_t size = given->struct_size;
  check_struct_size(size, smallest, sizeof(Struct), argument);
  Struct value = defaults;
  std::memcpy(static_cast<void*>(&value), given, size);
  return value;
}

/// The first `struct_size` bytes of `value`, with that size in them.
template <typename Struct>
void write_struct(Struct* to, std::size_t struct_size, std::size_t smallest, Struct value, const char* argument) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  require_pointer(to, argument);
  check_struct_size(struct_size, smallest, sizeof(Struct), argument);
  value.struct_size = struct_size;
  std::memcpy(static_cast<void*>(to), &value, struct_size);
}

inline const char* to_string(PdlTrigger trigger) noexcept { return trigger == PdlTrigger::kEarly ? "early" : "late"; }

template <typename Enum>
Enum to_enum(std::int32_t number, std::initializer_list<Enum> allowed, const char* argument) {
  for (const Enum value : allowed) {
    if (number == static_cast<std::int32_t>(value)) return value;
  }
  using allnorm::to_string;
  using c_api::to_string;
  std::string names;
  for (const Enum value : allowed) {
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", static_cast<int>(value), to_string(value));
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {} was given; allowed are {}", argument, number, names));
}

DataType to_data_type(allnorm_data_type number, const char* argument);
Strategy to_strategy(allnorm_strategy number, const char* argument);

/// Of a world in a group: without devices.
WorldOptions read_group_world_options(const allnorm_world_options* given);

/// A handle is the C++ object's address under another name.
inline Context* from_handle(allnorm_context* handle) { return reinterpret_cast<Context*>(handle); }
inline Buffer* from_handle(allnorm_buffer* handle) { return reinterpret_cast<Buffer*>(handle); }
inline World* from_handle(allnorm_world* handle) { return reinterpret_cast<World*>(handle); }
inline Bootstrap* from_handle(allnorm_group* handle) { return reinterpret_cast<Bootstrap*>(handle); }
inline Workspace* from_handle(allnorm_workspace* handle) { return reinterpret_cast<Workspace*>(handle); }
inline const Context* from_handle(const allnorm_context* handle) { return reinterpret_cast<const Context*>(handle); }
inline const Buffer* from_handle(const allnorm_buffer* handle) { return reinterpret_cast<const Buffer*>(handle); }
inline const World* from_handle(const allnorm_world* handle) { return reinterpret_cast<const World*>(handle); }
inline const Workspace* from_handle(const allnorm_workspace* handle) {
  return reinterpret_cast<const Workspace*>(handle);
}

}  // namespace allnorm::c_api

#endif  // ALLNORM_API_C_API_H_
