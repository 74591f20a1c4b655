#include "device/cuda/cuda_device.h"

#include <fmt/format.h>

#include <array>

#include "allnorm/error.h"

namespace allnorm::cuda {
namespace {

/// The legacy and per-thread default streams have no context of their own: they mean the current one.
bool is_default_stream(CUstream stream) {
  return stream == nullptr || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD;
}

}  // namespace

CurrentContext::CurrentContext(const Driver& driver, CUcontext context) : driver_(driver) {
  driver_.check(driver_.cuCtxGetCurrent(&before_), "cuCtxGetCurrent");
  if (before_ == context) return;
  driver_.check(driver_.cuCtxSetCurrent(context), "cuCtxSetCurrent");
  changed_ = true;
}

CurrentContext::~CurrentContext() {
  if (changed_) driver_.cuCtxSetCurrent(before_);
}

Target target_of(int major, int minor, const std::string& name) {
  switch (major * 10 + minor) {
    case 90: return Target::kSm90a;
    case 100: return Target::kSm100a;
    case 103: return Target::kSm103a;
    case 120: return Target::kSm120a;
    default:
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{} has compute capability {}.{}; AllNorm has kernels for 9.0 (H100, H200, GH200), 10.0 "
                              "(B200, GB200), 10.3 (B300, GB300) and 12.0 (RTX PRO Blackwell)",
                              name, major, minor));
  }
}

CudaDevice::CudaDevice(std::shared_ptr<const Driver> driver, int ordinal)
    : driver_(std::move(driver)), ordinal_(ordinal) {
  const Driver& d = *driver_;
  d.check(d.cuDeviceGet(&handle_, ordinal), "cuDeviceGet");
  std::array<char, 256> name{};
  d.check(d.cuDeviceGetName(name.data(), static_cast<int>(name.size()), handle_), "cuDeviceGetName");
  name_ = name.data();
  CUuuid uuid{};
  d.check(d.cuDeviceGetUuid(&uuid, handle_), "cuDeviceGetUuid");
  for (const char byte : uuid.bytes) identity_ += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  int major = 0;
  int minor = 0;
  d.check(d.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, handle_),
          "cuDeviceGetAttribute");
  d.check(d.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, handle_),
          "cuDeviceGetAttribute");
  d.check(d.cuDeviceGetAttribute(&multiprocessors_, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, handle_),
          "cuDeviceGetAttribute");
  target_ = target_of(major, minor, name_);
  d.check(d.cuDevicePrimaryCtxRetain(&context_, handle_), "cuDevicePrimaryCtxRetain");
  try {
    const CurrentContext current(d, context_);
    constexpr int kHighest = -100;  // clamped to the device's range
    d.check(d.cuStreamCreateWithPriority(&own_stream_, CU_STREAM_NON_BLOCKING, kHighest), "cuStreamCreateWithPriority");
  } catch (...) {
    d.cuDevicePrimaryCtxRelease(handle_);
    throw;
  }
}

CudaDevice::~CudaDevice() {
  driver_->cuStreamDestroy(own_stream_);
  driver_->cuDevicePrimaryCtxRelease(handle_);
}

void CudaDevice::fill_words(void* to, std::uint32_t word, std::size_t bytes) {
  const CurrentContext current(*driver_, context_);
  const BesideCaptures beside(*driver_);
  driver_->check(driver_->cuMemsetD32Async(reinterpret_cast<CUdeviceptr>(to), word, bytes / 4, own_stream_),
                 "cuMemsetD32Async");
  driver_->check(driver_->cuStreamSynchronize(own_stream_), "cuStreamSynchronize");
}

void CudaDevice::copy_to_device(void* to, const void* from, std::size_t bytes) {
  const CurrentContext current(*driver_, context_);
  const BesideCaptures beside(*driver_);
  driver_->check(driver_->cuMemcpyHtoDAsync(reinterpret_cast<CUdeviceptr>(to), from, bytes, own_stream_),
                 "cuMemcpyHtoDAsync");
  driver_->check(driver_->cuStreamSynchronize(own_stream_), "cuStreamSynchronize");
}

void CudaDevice::copy_to_host(void* to, const void* from, std::size_t bytes) {
  const CurrentContext current(*driver_, context_);
  const BesideCaptures beside(*driver_);
  driver_->check(driver_->cuMemcpyDtoHAsync(to, reinterpret_cast<CUdeviceptr>(from), bytes, own_stream_),
                 "cuMemcpyDtoHAsync");
  driver_->check(driver_->cuStreamSynchronize(own_stream_), "cuStreamSynchronize");
}

void CudaDevice::synchronize() {
  const CurrentContext current(*driver_, context_);
  driver_->check(driver_->cuCtxSynchronize(), "cuCtxSynchronize");
}

Stream CudaDevice::create_stream() {
  const CurrentContext current(*driver_, context_);
  CUstream stream = nullptr;
  driver_->check(driver_->cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  return stream;
}

void CudaDevice::destroy_stream(Stream stream) noexcept {
  CUcontext before = nullptr;
  driver_->cuCtxGetCurrent(&before);
  driver_->cuCtxSetCurrent(context_);
  driver_->cuStreamSynchronize(static_cast<CUstream>(stream));
  driver_->cuStreamDestroy(static_cast<CUstream>(stream));
  driver_->cuCtxSetCurrent(before);
}

void CudaDevice::synchronize(Stream stream) {
  const CurrentContext current(*driver_, context_);
  driver_->check(driver_->cuStreamSynchronize(static_cast<CUstream>(stream)), "cuStreamSynchronize");
}

void CudaDevice::check_stream(Stream stream, bool non_blocking) const {
  const auto handle = static_cast<CUstream>(stream);
  CUcontext context = nullptr;
  if (is_default_stream(handle)) {
    driver_->check(driver_->cuCtxGetCurrent(&context), "cuCtxGetCurrent");
    if (context == nullptr) context = context_;
  } else {
    driver_->check(driver_->cuStreamGetCtx(handle, &context), "cuStreamGetCtx");
  }
  if (context != context_) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("stream: belongs to another GPU or context; this rank runs on GPU {} and needs a stream of "
                    "that GPU's primary context (cudaSetDevice({}) before the stream is made or a default stream "
                    "is used)",
                    ordinal_, ordinal_));
  }
  if (!non_blocking) return;
  unsigned flags = 0;
  if (!is_default_stream(handle)) {
    // A stream that captures does not tell its flags; what it captures is not bound to it anyway.
    if (is_capturing(stream)) return;
    driver_->check(driver_->cuStreamGetFlags(handle, &flags), "cuStreamGetFlags");
  }
  if ((flags & CU_STREAM_NON_BLOCKING) == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "stream: virtual ranks share a GPU and need streams that run beside each other; a blocking or default "
                "stream was given, one made with cudaStreamNonBlocking is needed");
  }
}

bool CudaDevice::is_capturing(Stream stream) const {
  const CurrentContext current(*driver_, context_);
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUresult result = driver_->cuStreamIsCapturing(static_cast<CUstream>(stream), &status);
  // The legacy stream answers so while another stream captures.
  if (result == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT) return true;
  driver_->check(result, "cuStreamIsCapturing");
  return status != CU_STREAM_CAPTURE_STATUS_NONE;
}

Device::AddressRange CudaDevice::range_of(const void* address) const {
  const CurrentContext current(*driver_, context_);
  unsigned type = 0;
  int device = -1;
  CUdeviceptr begin = 0;
  std::size_t size = 0;
  std::array attributes = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                           CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, CU_POINTER_ATTRIBUTE_RANGE_SIZE};
  std::array<void*, 4> values = {&type, &device, &begin, &size};
  driver_->check(driver_->cuPointerGetAttributes(static_cast<unsigned>(attributes.size()), attributes.data(),
                                                 values.data(), reinterpret_cast<CUdeviceptr>(address)),
                 "cuPointerGetAttributes");
  if (type != CU_MEMORYTYPE_DEVICE) return {};
  return {device, static_cast<std::uintptr_t>(begin), static_cast<std::uintptr_t>(begin + size)};
}

}  // namespace allnorm::cuda
