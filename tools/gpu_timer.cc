#include "gpu_timer.h"

#include <algorithm>

namespace allnorm::tools {

/// Begin and end of something on a stream.
struct GpuTimer::EventPair {
  EventPair(const cuda::Driver& of_driver, CUcontext context) : driver(of_driver) {
    const cuda::CurrentContext current(driver, context);
    driver.check(driver.cuEventCreate(&begin, CU_EVENT_DEFAULT), "cuEventCreate");
    const CUresult result = driver.cuEventCreate(&end, CU_EVENT_DEFAULT);
    if (result != CUDA_SUCCESS) driver.cuEventDestroy(begin);
    driver.check(result, "cuEventCreate");
  }
  EventPair(EventPair&& other) noexcept : driver(other.driver) {
    std::swap(begin, other.begin);
    std::swap(end, other.end);
  }
  ~EventPair() {
    if (begin != nullptr) driver.cuEventDestroy(begin);
    if (end != nullptr) driver.cuEventDestroy(end);
  }
  double microseconds() const {
    float milliseconds = 0;
    driver.check(driver.cuEventElapsedTime(&milliseconds, begin, end), "cuEventElapsedTime");
    return milliseconds * 1e3;
  }
  const cuda::Driver& driver;
  CUevent begin = nullptr;
  CUevent end = nullptr;
};

/// What was enqueued for a rank while its stream was captured.
class GpuTimer::Graph {
 public:
  Graph(const cuda::Driver& driver, CUcontext context, CUstream stream, const std::function<void()>& enqueue)
      : driver_(driver) {
    const cuda::CurrentContext current(driver_, context);
    driver_.check(driver_.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED), "cuStreamBeginCapture");
    CUgraph graph = nullptr;
    try {
      enqueue();
    } catch (...) {
      driver_.cuStreamEndCapture(stream, &graph);
      if (graph != nullptr) driver_.cuGraphDestroy(graph);
      throw;
    }
    driver_.check(driver_.cuStreamEndCapture(stream, &graph), "cuStreamEndCapture");
    const CUresult result = driver_.cuGraphInstantiate(&executable_, graph, 0);
    driver_.cuGraphDestroy(graph);
    driver_.check(result, "cuGraphInstantiate");
  }
  Graph(Graph&& other) noexcept : driver_(other.driver_) { std::swap(executable_, other.executable_); }
  ~Graph() {
    if (executable_ != nullptr) driver_.cuGraphExecDestroy(executable_);
  }
  void launch(CUstream stream) const { driver_.check(driver_.cuGraphLaunch(executable_, stream), "cuGraphLaunch"); }

 private:
  const cuda::Driver& driver_;
  CUgraphExec executable_ = nullptr;
};

GpuTimer::GpuTimer(std::shared_ptr<const cuda::Driver> driver, const std::vector<int>& gpus,
                   const std::vector<Stream>& streams)
    : driver_(std::move(driver)) {
  for (std::size_t r = 0; r < gpus.size(); ++r) {
    std::unique_ptr<cuda::CudaDevice>& device = devices_[gpus[r]];
    if (!device) device = std::make_unique<cuda::CudaDevice>(driver_, gpus[r]);
    ranks_.push_back({device.get(), static_cast<CUstream>(streams[r])});
  }
}

void GpuTimer::synchronize() {
  for (const Rank& rank : ranks_) {
    const cuda::CurrentContext current(*driver_, rank.device->context());
    driver_->check(driver_->cuStreamSynchronize(rank.stream), "cuStreamSynchronize");
  }
}

void GpuTimer::record(const Rank& rank, CUevent event) const {
  const cuda::CurrentContext current(*driver_, rank.device->context());
  driver_->check(driver_->cuEventRecord(event, rank.stream), "cuEventRecord");
}

double GpuTimer::median_of(const std::vector<std::vector<EventPair>>& rounds) const {
  std::vector<double> times;
  for (const auto& of_ranks : rounds) {
    double longest = 0;
    for (const EventPair& events : of_ranks) longest = std::max(longest, events.microseconds());
    times.push_back(longest);
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

double GpuTimer::time_calls(int calls, const Enqueue& enqueue) {
  // All events beforehand: making one may wait for a kernel that runs.
  std::vector<std::vector<EventPair>> rounds(static_cast<std::size_t>(calls));
  for (auto& round : rounds) {
    for (const Rank& rank : ranks_) round.emplace_back(*driver_, rank.device->context());
  }
  for (const auto& round : rounds) {
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      record(ranks_[r], round[r].begin);
      enqueue(static_cast<int>(r));
      record(ranks_[r], round[r].end);
    }
  }
  synchronize();
  return median_of(rounds);
}

double GpuTimer::time_graph(int calls, int launches, const Enqueue& enqueue) {
  std::vector<Graph> graphs;
  graphs.reserve(ranks_.size());
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    graphs.emplace_back(*driver_, ranks_[r].device->context(), ranks_[r].stream, [&] {
      for (int call = 0; call < calls; ++call) enqueue(static_cast<int>(r));
    });
  }
  const auto launch = [&](int rank) {
    const Rank& r = ranks_[static_cast<std::size_t>(rank)];
    const cuda::CurrentContext current(*driver_, r.device->context());
    graphs[static_cast<std::size_t>(rank)].launch(r.stream);
  };
  for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank) launch(rank);  // the first launch uploads
  synchronize();
  return time_calls(launches, launch) / calls;
}

}  // namespace allnorm::tools
