#include "allnorm/error.h"

namespace allnorm {

const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid argument";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kNotPrepared: return "not prepared";
    case ErrorCode::kCapacity: return "capacity";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kAborted: return "aborted";
    case ErrorCode::kDriver: return "driver";
    case ErrorCode::kCompiler: return "compiler";
    case ErrorCode::kInvalidTable: return "invalid table";
    case ErrorCode::kInvalidEnvironment: return "invalid environment";
    case ErrorCode::kSimulation: return "simulation";
    case ErrorCode::kCacheMiss: return "cache miss";
    case ErrorCode::kPeer: return "peer";
    case ErrorCode::kMismatch: return "mismatch";
  }
  return "unknown error";
}

}  // namespace allnorm
