// GpuTimer: how long calls take on GPUs, by events on their streams.
//
// One thread at a time. Everything is enqueued rank after rank and waited for afterwards, never in between: a kernel
// waits for its peers, which may not be launched yet.
#ifndef ALLNORM_TOOLS_GPU_TIMER_H_
#define ALLNORM_TOOLS_GPU_TIMER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device/cuda/cuda_device.h"

namespace allnorm::tools {

class GpuTimer {
 public:
  /// What one rank does once.
  using Enqueue = std::function<void(int rank)>;

  /// GPU and stream of each rank. The streams outlive it.
  GpuTimer(std::shared_ptr<const cuda::Driver> driver, const std::vector<int>& gpus,
           const std::vector<Stream>& streams);

  /// Microseconds of a call, the median of `calls`, of each the longest over the ranks. Includes the time between the
  /// launches of the ranks, which this one thread makes one after the other.
  double time_calls(int calls, const Enqueue& enqueue);
  /// Microseconds of a call inside a CUDA graph of `calls`, the median of `launches`.
  double time_graph(int calls, int launches, const Enqueue& enqueue);

 private:
  struct Rank {
    cuda::CudaDevice* device = nullptr;
    CUstream stream = nullptr;
  };
  struct EventPair;
  class Graph;

  void synchronize();
  void record(const Rank& rank, CUevent event) const;
  /// The median over the rounds of the longest time over the ranks, in microseconds.
  double median_of(const std::vector<std::vector<EventPair>>& rounds) const;

  std::shared_ptr<const cuda::Driver> driver_;
  std::map<int, std::unique_ptr<cuda::CudaDevice>> devices_;
  std::vector<Rank> ranks_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_GPU_TIMER_H_
