// The tensors of `allnorm demo`: inputs on the host, what a rank has on its GPU (or simulated one), and the comparison
// with the reference.
#ifndef ALLNORM_TOOLS_DEMO_RANK_H_
#define ALLNORM_TOOLS_DEMO_RANK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "allnorm/buffer.h"
#include "allnorm/fused.h"
#include "demo.h"
#include "reference/reference.h"

namespace allnorm::tools {

/// What the calls read; of the ranks, only `rows` differs.
struct Inputs {
  std::vector<std::vector<std::uint8_t>> rows;  ///< [tokens, hidden] for each rank.
  std::vector<std::uint8_t> residual;
  std::vector<std::uint8_t> gamma;
};

Inputs make_inputs(const DemoOptions& options);

/// The outputs of every rank.
reference::Outputs expect(const DemoShape& shape, const Inputs& inputs, Quant quant);

/// A rank's tensors on its GPU, large enough for any of the calls.
class RankBuffers {
 public:
  RankBuffers(Context& context, int device, const DemoOptions& options, const Inputs& inputs, int rank);

  /// Fills all outputs with a byte that nothing else would leave there.
  void poison();
  /// Without a strategy.
  FusedCall call(Quant quant) const;
  /// Compares each output of the call, counts it, and describes those that differ.
  std::vector<std::string> compare(Quant quant, const reference::Outputs& expected, int& outputs) const;

 private:
  Tensor rows_of(const Buffer& buffer) const;
  void compare_one(const char* name, const Buffer& buffer, const std::vector<std::uint8_t>& expected, int& outputs,
                   std::vector<std::string>& differences) const;

  DemoShape shape_;
  int rank_;
  Buffer input_;
  Buffer residual_in_;
  Buffer gamma_;
  Buffer output_;
  Buffer residual_out_;
  Buffer quant_out_;
  Buffer scale_out_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_DEMO_RANK_H_
