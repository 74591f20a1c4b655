// KernelRejected: a compiler has read a kernel and does not take it. To try again gives the same.
#ifndef ALLNORM_JIT_KERNEL_REJECTED_H_
#define ALLNORM_JIT_KERNEL_REJECTED_H_

#include <string>

#include "allnorm/error.h"

namespace allnorm {

class KernelRejected : public Error {
 public:
  explicit KernelRejected(const std::string& message) : Error(ErrorCode::kCompiler, message) {}
};

}  // namespace allnorm

#endif  // ALLNORM_JIT_KERNEL_REJECTED_H_
