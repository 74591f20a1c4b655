#include "gpu/gpu.h"

#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "allnorm/error.h"

namespace allnorm::gpu_tests {
namespace {

struct Loaded {
  std::shared_ptr<const cuda::Driver> driver;
  int count = 0;
  std::string why_none;
};

const Loaded& loaded() {
  static const Loaded instance = [] {
    Loaded result;
    try {
      const char* const path = std::getenv("ALLNORM_DRIVER");
      result.driver = cuda::Driver::load(path == nullptr ? "" : path);
      result.driver->check(result.driver->cuDeviceGetCount(&result.count), "cuDeviceGetCount");
      if (result.count == 0) result.why_none = "the driver shows no GPU";
    } catch (const Error& error) {
      result.count = 0;
      result.why_none = error.what();
    }
    return result;
  }();
  return instance;
}

/// What the runtime does not need of the driver, and the tests do.
struct MoreOfTheDriver {
  decltype(&::cuStreamQuery) stream_query;
  decltype(&::cuGraphGetNodes) graph_get_nodes;
  decltype(&::cuGraphUpload) graph_upload;
  decltype(&::cuMemcpyDtoDAsync) memcpy_device_to_device;
};

template <typename Function>
Function symbol(void* library, const char* name) {
  void* const address = dlsym(library, name);
  if (address == nullptr) throw Error(ErrorCode::kDriver, std::string("the driver has no ") + name);
  return reinterpret_cast<Function>(address);
}

const MoreOfTheDriver& more() {
  static const MoreOfTheDriver instance = [] {
    void* const library = dlopen(loaded().driver->path.c_str(), RTLD_NOW);
    if (library == nullptr) throw Error(ErrorCode::kDriver, dlerror());
    return MoreOfTheDriver{symbol<decltype(&::cuStreamQuery)>(library, "cuStreamQuery"),
                           symbol<decltype(&::cuGraphGetNodes)>(library, "cuGraphGetNodes"),
                           symbol<decltype(&::cuGraphUpload)>(library, "cuGraphUpload"),
                           symbol<decltype(&::cuMemcpyDtoDAsync)>(library, "cuMemcpyDtoDAsync_v2")};
  }();
  return instance;
}

cuda::CurrentContext current(Gpu& gpu) { return {gpu.driver(), gpu.device().context()}; }

}  // namespace

int Gpu::count() { return loaded().count; }
const std::string& Gpu::why_none() { return loaded().why_none; }

Gpu& Gpu::at(int ordinal) {
  // Never destroyed: when statics are, the driver may be gone.
  static auto& gpus = *new std::map<int, Gpu>;
  return gpus.try_emplace(ordinal, loaded().driver, ordinal).first->second;
}

const AuxiliaryKernels& Gpu::kernels() {
  if (kernels_ == nullptr) kernels_ = std::make_unique<AuxiliaryKernels>(device_);
  return *kernels_;
}

std::size_t Gpu::free_bytes() const {
  const cuda::CurrentContext scope(driver(), device_.context());
  std::size_t free = 0;
  std::size_t total = 0;
  check(driver().cuMemGetInfo(&free, &total), "cuMemGetInfo");
  return free;
}

GpuStream::GpuStream(Gpu& gpu) : gpu_(gpu) {
  const auto scope = current(gpu);
  gpu.check(gpu.driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
}

GpuStream::~GpuStream() {
  const auto scope = current(gpu_);
  gpu_.driver().cuStreamDestroy(stream_);
}

bool GpuStream::is_done() const {
  const auto scope = current(gpu_);
  const CUresult result = more().stream_query(stream_);
  if (result == CUDA_ERROR_NOT_READY) return false;
  gpu_.check(result, "cuStreamQuery");
  return true;
}

bool GpuStream::wait(double seconds) const {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration<double>(seconds);
  while (!is_done()) {
    const auto now = Clock::now();
    if (now > end) return false;
    // Short waits are polled, so that a test of many small steps is not a test of sleeps.
    if (now - start > std::chrono::milliseconds(2)) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

void GpuStream::poison(void* data, std::size_t bytes) const {
  const auto scope = current(gpu_);
  gpu_.check(gpu_.driver().cuMemsetD32Async(reinterpret_cast<CUdeviceptr>(data), kPoisonWord, bytes / 4, stream_),
             "cuMemsetD32Async");
}

void GpuStream::copy_to_host(void* to, const void* from, std::size_t bytes) const {
  const auto scope = current(gpu_);
  gpu_.check(gpu_.driver().cuMemcpyDtoHAsync(to, reinterpret_cast<CUdeviceptr>(from), bytes, stream_),
             "cuMemcpyDtoHAsync");
}

void GpuStream::copy(void* to, const void* from, std::size_t bytes) const {
  const auto scope = current(gpu_);
  gpu_.check(more().memcpy_device_to_device(reinterpret_cast<CUdeviceptr>(to), reinterpret_cast<CUdeviceptr>(from),
                                            bytes, stream_),
             "cuMemcpyDtoDAsync");
}

void GpuStream::launch_raw(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned threads,
                           void** arguments) const {
  const auto scope = current(gpu_);
  CUlaunchConfig config{};
  config.gridDimX = grid_x;
  config.gridDimY = grid_y;
  config.gridDimZ = 1;
  config.blockDimX = threads;
  config.blockDimY = 1;
  config.blockDimZ = 1;
  config.hStream = stream_;
  gpu_.check(gpu_.driver().cuLaunchKernelEx(&config, function, arguments, nullptr), "cuLaunchKernelEx");
}

GpuBuffer::GpuBuffer(Gpu& gpu, std::size_t bytes)
    : gpu_(gpu), bytes_(bytes), memory_(gpu.device().allocate(bytes < 256 ? 256 : bytes)) {}

void GpuBuffer::write(const void* from, std::size_t bytes, std::size_t offset) const {
  gpu_.device().copy_to_device(data() + offset, from, bytes);
}
void GpuBuffer::read(void* to, std::size_t bytes, std::size_t offset) const {
  gpu_.device().copy_to_host(to, data() + offset, bytes);
}
void GpuBuffer::fill(std::uint32_t word) const { gpu_.device().fill_words(data(), word, bytes_); }

GpuGraph::GpuGraph(const GpuStream& stream, const std::function<void()>& enqueue) : stream_(stream) {
  Gpu& gpu = stream.gpu();
  const cuda::Driver& driver = gpu.driver();
  const auto scope = current(gpu);
  gpu.check(driver.cuStreamBeginCapture(stream.get(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "cuStreamBeginCapture");
  try {
    enqueue();
  } catch (...) {
    if (driver.cuStreamEndCapture(stream.get(), &graph_) == CUDA_SUCCESS) driver.cuGraphDestroy(graph_);
    throw;
  }
  gpu.check(driver.cuStreamEndCapture(stream.get(), &graph_), "cuStreamEndCapture");
  gpu.check(more().graph_get_nodes(graph_, nullptr, &nodes_), "cuGraphGetNodes");
  gpu.check(driver.cuGraphInstantiate(&executable_, graph_, 0), "cuGraphInstantiate");
}

GpuGraph::~GpuGraph() {
  const auto scope = current(stream_.gpu());
  stream_.gpu().driver().cuGraphExecDestroy(executable_);
  stream_.gpu().driver().cuGraphDestroy(graph_);
}

void GpuGraph::upload() const {
  const auto scope = current(stream_.gpu());
  stream_.gpu().check(more().graph_upload(executable_, stream_.get()), "cuGraphUpload");
}

void GpuGraph::launch() const {
  const auto scope = current(stream_.gpu());
  stream_.gpu().check(stream_.gpu().driver().cuGraphLaunch(executable_, stream_.get()), "cuGraphLaunch");
}

GpuEvent::GpuEvent(Gpu& gpu) : gpu_(gpu) {
  const auto scope = current(gpu);
  gpu.check(gpu.driver().cuEventCreate(&event_, CU_EVENT_DEFAULT), "cuEventCreate");
}

GpuEvent::~GpuEvent() {
  const auto scope = current(gpu_);
  gpu_.driver().cuEventDestroy(event_);
}

void GpuEvent::record(const GpuStream& stream) const {
  const auto scope = current(gpu_);
  gpu_.check(gpu_.driver().cuEventRecord(event_, stream.get()), "cuEventRecord");
}

double GpuEvent::milliseconds_since(const GpuEvent& earlier) const {
  const auto scope = current(gpu_);
  float milliseconds = 0;
  gpu_.check(gpu_.driver().cuEventElapsedTime(&milliseconds, earlier.event_, event_), "cuEventElapsedTime");
  return milliseconds;
}

}  // namespace allnorm::gpu_tests
