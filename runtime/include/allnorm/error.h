// The one exception type of AllNorm.
//
// Every failure is an `Error` with a code that a program can act on and a message for a person: which argument, what
// was given, what is allowed, what to do next. Errors about arguments are thrown before anything is launched or
// written. Thread safety: a value type.
#ifndef ALLNORM_ERROR_H_
#define ALLNORM_ERROR_H_

#include <stdexcept>
#include <string>

#include "allnorm/export.h"

namespace allnorm {

/// The same numbers as `allnorm_status` in allnorm_c.h; a number never changes its meaning.
enum class ErrorCode : int {
  kInvalidArgument = 1,      ///< An argument is wrong; nothing was launched.
  kUnsupported = 2,          ///< Right in itself, but this GPU, driver or build cannot do it.
  kNotPrepared = 3,          ///< A call in stream capture whose Plan does not exist yet.
  kCapacity = 4,             ///< The workspace is too small for the call.
  kTimeout = 5,              ///< A rank gave up waiting for a peer; see Workspace::status().
  kAborted = 6,              ///< Workspace::abort() ended the waits.
  kDriver = 7,               ///< The CUDA driver is missing or returned an error.
  kCompiler = 8,             ///< NVRTC (for the simulator: the C++ compiler) is missing or rejected a kernel.
  kInvalidTable = 9,         ///< A tuned table cannot be read.
  kInvalidEnvironment = 10,  ///< An environment variable has a value that is not allowed.
  kSimulation = 11,          ///< The simulator found a fault of a kernel, or a deadlock.
  kCacheMiss = 12,           ///< A kernel is not in the cache, and the mode is require-hit.
  kPeer = 13,                ///< Another rank's process is gone, failed or did not come.
  kMismatch = 14             ///< In checked mode: the ranks' calls differ; see Workspace::status().
};

/// "invalid argument", "not prepared", ...: the code in words.
ALLNORM_EXPORT const char* to_string(ErrorCode code) noexcept;

class ALLNORM_EXPORT Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace allnorm

#endif  // ALLNORM_ERROR_H_
