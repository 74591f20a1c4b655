// How the library logs: log::warn("no tuned table for {}", device). A message is formatted only
// when its level is made.
//
// Never throws, arguments' formatters included. Thread safety: any function from any thread.
#ifndef ALLNORM_ENV_LOG_H_
#define ALLNORM_ENV_LOG_H_

#include <fmt/core.h>

#include <string_view>

#include "allnorm/log.h"

namespace allnorm::log {

/// Whether a message of this level goes anywhere.
bool enabled(LogLevel level) noexcept;

/// Sets the level that ALLNORM_LOG asks for; a program's own set_log_level() stays in force.
void set_environment_level(LogLevel level) noexcept;

/// Logs text as it is.
void write(LogLevel level, std::string_view message) noexcept;

/// The functions below without their templates.
void write_formatted(LogLevel level, fmt::string_view format, fmt::format_args arguments) noexcept;

template <typename... Args>
void trace(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (!enabled(LogLevel::kTrace)) return;
  write_formatted(LogLevel::kTrace, format, fmt::make_format_args(args...));
}

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (!enabled(LogLevel::kDebug)) return;
  write_formatted(LogLevel::kDebug, format, fmt::make_format_args(args...));
}

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (!enabled(LogLevel::kInfo)) return;
  write_formatted(LogLevel::kInfo, format, fmt::make_format_args(args...));
}

template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (!enabled(LogLevel::kWarn)) return;
  write_formatted(LogLevel::kWarn, format, fmt::make_format_args(args...));
}

template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (!enabled(LogLevel::kError)) return;
  write_formatted(LogLevel::kError, format, fmt::make_format_args(args...));
}

}  // namespace allnorm::log

#endif  // ALLNORM_ENV_LOG_H_
