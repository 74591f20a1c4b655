// What tests of refused calls share: a small World, a call that uses every tensor, and a look at what it left alone.
#ifndef ALLNORM_TESTS_GPU_REFUSED_H_
#define ALLNORM_TESTS_GPU_REFUSED_H_

#include <string>
#include <vector>

#include "comm/workspace_impl.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {

/// Rows of up to 4096 bytes; 5 one-shot and 7 two-shot tokens; calls give up after 5 seconds.
WorldOptions refusable_options(std::vector<int> devices);
/// bf16, hidden_dim 2048, swizzled NVFP4, with every tensor that a call can have.
Case refusable_case(Strategy strategy, std::int64_t tokens);
std::string capacity_message(std::int64_t tokens, Strategy strategy);

void load(Session& session, const std::vector<Case>& cases);
/// The first of the cases alone: the others may be such that prepare() refuses them.
void prepare_first(Session& session);

/// Nothing runs, all outputs of all ranks are as load() or refill() left them, and all is healthy.
void check_untouched(Session& session);
/// Refused in these words, with nothing loaded, launched or written.
void check_refused(Session& session, int rank, const AnyCall& call, Stream stream, ErrorCode code,
                   const std::string& message);
/// The same for prepare().
void check_not_prepared(Session& session, int rank, const AnyCall& call, ErrorCode code, const std::string& message);

/// The first case is all that is loaded. All ranks call, and all bytes are right.
void check_right(Session& session);
/// The same, where the calls are made already.
void check_right_results(Session& session);

/// A stream that waits for the default stream, and makes it wait.
class BlockingStream {
 public:
  explicit BlockingStream(Gpu& gpu);
  ~BlockingStream();
  BlockingStream(const BlockingStream&) = delete;
  BlockingStream& operator=(const BlockingStream&) = delete;
  CUstream get() const noexcept { return stream_; }

 private:
  Gpu& gpu_;
  CUstream stream_ = nullptr;
};

}  // namespace allnorm::gpu_tests

#endif  // ALLNORM_TESTS_GPU_REFUSED_H_
