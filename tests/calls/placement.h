// Where the tensors of a case lie in a rank's memory, and the call and the inputs that follow from it.
//
// All offsets are the same on every rank. Outputs (and inputs that are overwritten in place) come first and lie
// together, each followed by guard bytes, so that one fill poisons them and one copy fetches them.
#ifndef ALLNORM_TESTS_CALLS_PLACEMENT_H_
#define ALLNORM_TESTS_CALLS_PLACEMENT_H_

#include <cstddef>
#include <variant>
#include <vector>

#include "allnorm/fused.h"
#include "calls/cases.h"
#include "calls/fill_job.h"

namespace allnorm::calls {

/// What outputs hold before a call, in every byte.
inline constexpr std::uint8_t kPoison = 0xA5;
inline constexpr std::uint32_t kPoisonWord = 0xA5A5A5A5;

struct Piece {
  std::size_t offset = 0;
  std::size_t bytes = 0;  ///< 0: the call has no such tensor.
  /// The guard bytes go from here to guard_end().
  std::size_t end() const noexcept { return offset + bytes; }
  std::size_t guard_end() const noexcept { return (end() + 511) / 256 * 256; }
};

struct Placement {
  Piece input, residual_in, gamma, output_scale;
  Piece output, residual_out, quant_out, scale_out;
  Piece outputs;  ///< From the first output to the end of the last one's guard.
};

/// Hands out memory from 0 on.
class Layout {
 public:
  Piece take(std::size_t bytes) {
    const Piece piece = {size_, bytes};
    if (bytes > 0) size_ = piece.guard_end();
    return piece;
  }
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_ = 0;
};

Placement place_outputs(const Case& c, Layout& layout);
/// After the outputs of all cases.
void place_inputs(const Case& c, Layout& layout, Placement& placement);

using AnyCall = std::variant<FusedCall, AllReduceCall>;
AnyCall make_call(const Case& c, const Placement& placement, std::byte* memory);
void prepare_call(Workspace& workspace, const AnyCall& call);
/// Fewer tokens need fewer kernels, and a smaller workspace.
AnyCall with_tokens(AnyCall call, std::int64_t tokens);
void enqueue(Workspace& workspace, const AnyCall& call, Stream stream);

/// Everything that a rank's call reads.
void add_fill_jobs(const Case& c, const Placement& placement, std::byte* memory, int rank, bool per_replay,
                   std::vector<FillJob>& jobs);

}  // namespace allnorm::calls

#endif  // ALLNORM_TESTS_CALLS_PLACEMENT_H_
