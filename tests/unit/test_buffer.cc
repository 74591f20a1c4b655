// Buffer and OwnedStream, on simulated GPUs; tests/gpu has them on real ones.
#include <array>
#include <numeric>
#include <utility>
#include <vector>

#include "allnorm/buffer.h"
#include "api/context_impl.h"
#include "catch.h"
#include "error_of.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

std::vector<std::uint8_t> bytes_of(const Buffer& buffer) {
  std::vector<std::uint8_t> bytes(buffer.bytes());
  buffer.read(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("a buffer gives back what was written, where it was written") {
  Context context({.device = "sim:2"});
  Buffer buffer(context, 1, 10);
  CHECK(buffer.bytes() == 10);
  CHECK(buffer.device() == 1);
  CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 256 == 0);

  std::array<std::uint8_t, 10> given{};
  std::iota(given.begin(), given.end(), std::uint8_t{1});
  buffer.write(given.data(), given.size());
  CHECK(bytes_of(buffer) == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  buffer.write(given.data(), 2, 8);
  CHECK(bytes_of(buffer) == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 1, 2});
  std::uint8_t part[3] = {};
  buffer.read(part, 2, 7);
  CHECK(part[0] == 8);
  CHECK(part[1] == 1);
  CHECK(part[2] == 0);
  buffer.write(nullptr, 0, 10);
  buffer.read(nullptr, 0, 10);
}

TEST_CASE("a buffer is filled to its last byte, and no further") {
  Context context({.device = "sim:1"});
  for (const std::size_t size : {1, 3, 4, 7, 4096, 5001}) {
    Buffer buffer(context, 0, size);
    buffer.fill(0xA5);
    CHECK(bytes_of(buffer) == std::vector<std::uint8_t>(size, 0xA5));
  }
}

TEST_CASE("a buffer refuses what does not fit, in words") {
  Context context({.device = "sim:1"});
  const auto refusal = [](auto call) { return error_of(ErrorCode::kInvalidArgument, call); };
  CHECK(refusal([&] { Buffer(context, 1, 4); }) == "device: GPU 1 was given; this simulator has GPU 0 alone");
  CHECK(refusal([&] { Buffer(context, 0, 0); }) == "bytes: 0 was given; at least 1 is needed");

  Buffer buffer(context, 0, 8);
  char host[16] = {};
  CHECK(refusal([&] { buffer.write(host, 9); }) == "bytes, offset: 9 bytes from 0 on were given; this buffer holds 8");
  CHECK(refusal([&] { buffer.read(host, 4, 5); }) ==
        "bytes, offset: 4 bytes from 5 on were given; this buffer holds 8");
  CHECK(refusal([&] { buffer.read(host, 2, SIZE_MAX); }) ==
        "bytes, offset: 2 bytes from 18446744073709551615 on were given; this buffer holds 8");
  CHECK(refusal([&] { buffer.write(nullptr, 1); }) == "from: a null pointer was given; memory of the host is needed");
  CHECK(refusal([&] { buffer.read(nullptr, 1); }) == "to: a null pointer was given; memory of the host is needed");
}

TEST_CASE("buffers move, and are freed once") {
  Context context({.device = "sim:1"});
  Device& device = context.impl().device(0);
  std::vector<Buffer> buffers;
  for (std::size_t i = 1; i <= 5; i++) buffers.emplace_back(context, 0, 16 * i);
  CHECK(buffers[4].bytes() == 80);
  const void* const freed = buffers[0].data();
  const void* const kept = buffers[1].data();
  CHECK(device.range_of(freed).device == 0);
  buffers[0] = std::move(buffers[1]);
  CHECK(buffers[0].data() == kept);
  CHECK(device.range_of(freed).device == -1);
  buffers.clear();
  CHECK(device.range_of(kept).device == -1);
}

TEST_CASE("a stream is a non-blocking one of its GPU") {
  Context context({.device = "sim:2"});
  OwnedStream stream(context, 1);
  CHECK(stream.device() == 1);
  CHECK(stream.get() != nullptr);
  context.impl().device(1).check_stream(stream.get(), true);
  CHECK_THROWS_AS(context.impl().device(0).check_stream(stream.get(), true), Error);
  stream.synchronize();

  void* const handle = stream.get();
  OwnedStream moved = std::move(stream);
  CHECK(moved.get() == handle);
  moved = OwnedStream(context, 0);
  CHECK_THROWS_AS(context.impl().device(1).check_stream(handle, true), Error);
  CHECK(error_of(ErrorCode::kInvalidArgument, [&] { OwnedStream(context, 2); }) ==
        "device: GPU 2 was given; this simulator has GPUs 0 to 1");
}
