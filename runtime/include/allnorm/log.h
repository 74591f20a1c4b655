// Where AllNorm's messages go, and which are made at all.
//
// Without a call to anything here, messages of level warn and above go to stderr as "allnorm
// [level] message". A program that has a log of its own puts a sink in.
//
// Logging never throws: what a sink throws is dropped, and so is a message that cannot be
// formatted.
//
// Thread safety: all functions may be called from any thread at any time, except from within a
// sink.
#ifndef ALLNORM_LOG_H_
#define ALLNORM_LOG_H_

#include <cstdint>
#include <functional>
#include <string_view>

#include "allnorm/export.h"

namespace allnorm {

/// In ascending order of weight. kOff is a threshold only: no message has it.
enum class LogLevel : std::uint8_t { kTrace = 0, kDebug = 1, kInfo = 2, kWarn = 3, kError = 4, kOff = 5 };

/// "trace", "debug", "info", "warn", "error", "off": the values of ALLNORM_LOG.
ALLNORM_EXPORT const char* to_string(LogLevel level) noexcept;

/// Takes one message: no level, no prefix, no newline at its end. The view is valid during the call
/// only. Called on the thread that logs, so by several threads at once. What AllNorm logs on that
/// thread meanwhile is dropped.
using LogSink = std::function<void(LogLevel level, std::string_view message)>;

/// Replaces the sink; an empty one restores stderr. On return no call to the old sink is running
/// and none will begin, so what it refers to can be destroyed. For that it waits for running calls:
/// do not hold a lock that the old sink takes. Called from within a sink it does nothing.
ALLNORM_EXPORT void set_log_sink(LogSink sink);

/// Makes only messages of this level and above. Takes precedence over ALLNORM_LOG, whenever that is
/// read.
ALLNORM_EXPORT void set_log_level(LogLevel level) noexcept;

}  // namespace allnorm

#endif  // ALLNORM_LOG_H_
