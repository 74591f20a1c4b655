// A rank whose calls are measured: its tensors, its stream, and the calls on it.
#ifndef ALLNORM_TOOLS_MEASURED_RANK_H_
#define ALLNORM_TOOLS_MEASURED_RANK_H_

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "allnorm/fused.h"
#include "bench_kernels.h"
#include "gpu/gpu.h"
#include "variant.h"

namespace allnorm::tools {

/// The rows of all calls of a measurement.
struct RowShape {
  int hidden_dim = 7168;
  DataType dtype = DataType::kBF16;
  std::int64_t max_tokens = 1;
};

/// Used by one thread at a time.
class MeasuredRank {
 public:
  /// `cold_l2`: before each call, as many bytes are written as the L2 holds.
  MeasuredRank(int gpu, Workspace& workspace, const RowShape& shape, bool cold_l2);

  /// Compiles, several kernels at once, and loads what the variants need. False for those whose geometry the GPU has no
  /// room for. `on_progress` is called from any thread, one at a time.
  std::vector<bool> prepare(std::span<const Variant> variants,
                            const std::function<void(std::size_t done)>& on_progress);
  void enqueue(const Variant& variant, int calls);
  /// What comes before the calls if the L2 is to be cold.
  void enqueue_writes(int count);
  const gpu_tests::GpuStream& stream() const noexcept { return stream_; }

  /// Throws kTimeout, after an abort, if the stream does not end.
  void wait();
  /// Microseconds on the GPU. Waits.
  double time(const std::function<void()>& launch);
  /// Throws if a call gave up.
  void check_health() const;
  Measured chosen(const Variant& variant) const;
  Transport transport() const;

 private:
  void* allocate(std::size_t bytes);
  /// Those that name strategy and geometry.
  void compile(std::span<const Variant> variants, const std::function<void(std::size_t done)>& on_progress);
  FusedCall call(const Variant& variant) const;

  RowShape shape_;
  Workspace& workspace_;
  gpu_tests::Gpu& gpu_;
  gpu_tests::GpuStream stream_;
  gpu_tests::GpuEvent begin_;
  gpu_tests::GpuEvent end_;
  std::vector<gpu_tests::GpuBuffer> memory_;
  FusedCall tensors_;                      ///< All that a call may need, for max_tokens.
  std::unique_ptr<BenchKernels> kernels_;  ///< These two are null where the L2 stays warm.
  std::unique_ptr<gpu_tests::GpuBuffer> l2_sized_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_MEASURED_RANK_H_
