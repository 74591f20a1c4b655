#include "allnorm/buffer.h"

#include <fmt/format.h>

#include "allnorm/error.h"
#include "api/context_impl.h"

namespace allnorm {
namespace {

/// Of a buffer that has not been moved from.
void check_range(std::size_t holds, std::size_t bytes, std::size_t offset) {
  if (offset <= holds && bytes <= holds - offset) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("bytes, offset: {} bytes from {} on were given; this buffer holds {}", bytes, offset, holds));
}

void check_host_pointer(const char* argument, const void* pointer) {
  if (pointer != nullptr) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: a null pointer was given; memory of the host is needed", argument));
}

std::size_t check_bytes(std::size_t bytes) {
  if (bytes > 0) return bytes;
  throw Error(ErrorCode::kInvalidArgument, "bytes: 0 was given; at least 1 is needed");
}

}  // namespace

class Buffer::Impl {
 public:
  Impl(Device& on, std::size_t size) : device(on), bytes(check_bytes(size)), memory(on.allocate(size)) {}

  char* at(std::size_t offset) const noexcept { return static_cast<char*>(memory->data()) + offset; }

  Device& device;
  const std::size_t bytes;
  const std::unique_ptr<DeviceMemory> memory;
};

Buffer::Buffer(Context& context, int device, std::size_t bytes)
    : impl_(std::make_unique<Impl>(context.impl().device(device, "device"), bytes)) {}
Buffer::~Buffer() = default;
Buffer::Buffer(Buffer&& other) noexcept = default;
Buffer& Buffer::operator=(Buffer&& other) noexcept = default;

void* Buffer::data() const noexcept { return impl_->memory->data(); }
std::size_t Buffer::bytes() const noexcept { return impl_->bytes; }
int Buffer::device() const noexcept { return impl_->device.ordinal(); }

void Buffer::write(const void* from, std::size_t bytes, std::size_t offset) {
  check_range(impl_->bytes, bytes, offset);
  if (bytes == 0) return;
  check_host_pointer("from", from);
  impl_->device.copy_to_device(impl_->at(offset), from, bytes);
}

void Buffer::read(void* to, std::size_t bytes, std::size_t offset) const {
  check_range(impl_->bytes, bytes, offset);
  if (bytes == 0) return;
  check_host_pointer("to", to);
  impl_->device.copy_to_host(to, impl_->at(offset), bytes);
}

void Buffer::fill(std::uint8_t byte) {
  // The device fills whole words; fewer than four bytes may be left at the end.
  const std::uint32_t word = byte * 0x01010101U;
  const std::size_t rest = impl_->bytes % sizeof(word);
  const std::size_t whole = impl_->bytes - rest;
  if (whole > 0) impl_->device.fill_words(impl_->at(0), word, whole);
  if (rest > 0) impl_->device.copy_to_device(impl_->at(whole), &word, rest);
}

class OwnedStream::Impl {
 public:
  explicit Impl(Device& on) : device(on), stream(on.create_stream()) {}
  ~Impl() { device.destroy_stream(stream); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Device& device;
  const Stream stream;
};

OwnedStream::OwnedStream(Context& context, int device)
    : impl_(std::make_unique<Impl>(context.impl().device(device, "device"))) {}
OwnedStream::~OwnedStream() = default;
OwnedStream::OwnedStream(OwnedStream&& other) noexcept = default;
OwnedStream& OwnedStream::operator=(OwnedStream&& other) noexcept = default;

Stream OwnedStream::get() const noexcept { return impl_->stream; }
int OwnedStream::device() const noexcept { return impl_->device.ordinal(); }
void OwnedStream::synchronize() { impl_->device.synchronize(impl_->stream); }

}  // namespace allnorm
