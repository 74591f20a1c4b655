// What the GPU tests need of a GPU: streams that can be waited for with a limit, memory, graphs, events.
//
// Everything here throws allnorm::Error with the driver's words. A Gpu lives as long as the process.
#ifndef ALLNORM_TESTS_GPU_GPU_H_
#define ALLNORM_TESTS_GPU_GPU_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "calls/parallel.h"
#include "calls/placement.h"
#include "calls/verify.h"
#include "device/cuda/cuda_device.h"
#include "gpu/auxiliary.h"

namespace allnorm::gpu_tests {

// What the tests of all machines share.
using calls::AnyCall;
using calls::Case;
using calls::enqueue;
using calls::Failure;
using calls::full_product;
using calls::host_threads;
using calls::kPoison;
using calls::kPoisonWord;
using calls::Layout;
using calls::parallel_for;
using calls::Piece;
using calls::Placement;
using calls::prepare_call;
using calls::SampleOptions;
using calls::with_tokens;

class Gpu {
 public:
  /// GPUs that the driver shows; 0 without a driver, and then why_none() says why.
  static int count();
  static const std::string& why_none();
  static Gpu& at(int ordinal);

  cuda::CudaDevice& device() noexcept { return device_; }
  const cuda::Driver& driver() const noexcept { return device_.driver(); }
  /// Compiled at first use.
  const AuxiliaryKernels& kernels();
  std::size_t free_bytes() const;
  void check(CUresult result, const char* what) const { driver().check(result, what); }

  explicit Gpu(std::shared_ptr<const cuda::Driver> driver, int ordinal) : device_(std::move(driver), ordinal) {}

 private:
  cuda::CudaDevice device_;
  std::unique_ptr<AuxiliaryKernels> kernels_;
};

/// A non-blocking stream.
class GpuStream {
 public:
  explicit GpuStream(Gpu& gpu);
  ~GpuStream();
  GpuStream(const GpuStream&) = delete;
  GpuStream& operator=(const GpuStream&) = delete;

  Gpu& gpu() const noexcept { return gpu_; }
  CUstream get() const noexcept { return stream_; }
  bool is_done() const;
  /// False if work remains after that many seconds.
  [[nodiscard]] bool wait(double seconds) const;
  void poison(void* data, std::size_t bytes) const;  // whole words
  void copy_to_host(void* to, const void* from, std::size_t bytes) const;
  /// From memory of a GPU to memory of a GPU.
  void copy(void* to, const void* from, std::size_t bytes) const;

  /// One launch; each argument is passed as it is.
  template <typename... Arguments>
  void launch(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned threads, Arguments... arguments) const {
    std::array<void*, sizeof...(Arguments)> pointers = {&arguments...};
    launch_raw(function, grid_x, grid_y, threads, pointers.data());
  }

 private:
  void launch_raw(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned threads, void** arguments) const;

  Gpu& gpu_;
  CUstream stream_ = nullptr;
};

/// Memory of a GPU.
class GpuBuffer {
 public:
  GpuBuffer(Gpu& gpu, std::size_t bytes);
  std::size_t bytes() const noexcept { return bytes_; }
  std::byte* data() const noexcept { return static_cast<std::byte*>(memory_->data()); }
  template <typename T>
  T* as() const noexcept {
    return static_cast<T*>(memory_->data());
  }
  /// Wait for the copy, not for kernels.
  void write(const void* from, std::size_t bytes, std::size_t offset = 0) const;
  void read(void* to, std::size_t bytes, std::size_t offset = 0) const;
  void fill(std::uint32_t word) const;

 private:
  Gpu& gpu_;
  std::size_t bytes_;
  std::unique_ptr<DeviceMemory> memory_;
};

/// What was enqueued on a stream while it was captured, ready to launch.
class GpuGraph {
 public:
  GpuGraph(const GpuStream& stream, const std::function<void()>& enqueue);
  ~GpuGraph();
  GpuGraph(const GpuGraph&) = delete;
  GpuGraph& operator=(const GpuGraph&) = delete;
  std::size_t nodes() const noexcept { return nodes_; }
  /// Whatever the first launch would do beside running, so that it cannot meet a kernel that spins.
  void upload() const;
  void launch() const;

 private:
  const GpuStream& stream_;
  CUgraph graph_ = nullptr;
  CUgraphExec executable_ = nullptr;
  std::size_t nodes_ = 0;
};

class GpuEvent {
 public:
  explicit GpuEvent(Gpu& gpu);
  ~GpuEvent();
  GpuEvent(const GpuEvent&) = delete;
  GpuEvent& operator=(const GpuEvent&) = delete;
  void record(const GpuStream& stream) const;
  /// Both must have happened.
  double milliseconds_since(const GpuEvent& earlier) const;

 private:
  Gpu& gpu_;
  CUevent event_ = nullptr;
};

}  // namespace allnorm::gpu_tests

#endif  // ALLNORM_TESTS_GPU_GPU_H_
