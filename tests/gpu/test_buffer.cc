// Buffer and OwnedStream on a GPU; tests/unit has what they refuse.
#include <vector>

#include "allnorm/buffer.h"
#include "allnorm/fused.h"
#include "catch.h"
#include "gpu/session.h"

using namespace allnorm;

TEST_CASE("a buffer on a GPU gives back what was written and filled", "[workspace][buffer]") {
  Context& context = gpu_tests::shared_context();
  CHECK_FALSE(context.is_simulated());
  for (const std::size_t size : {1, 3, 4, 4099}) {
    Buffer buffer(context, 0, size);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 256 == 0);
    buffer.fill(0xA5);
    std::vector<std::uint8_t> expected(size, 0xA5);
    std::vector<std::uint8_t> bytes(size);
    buffer.read(bytes.data(), size);
    CHECK(bytes == expected);
    expected.back() = 0x5A;
    buffer.write(&expected.back(), 1, size - 1);
    buffer.read(bytes.data(), size);
    CHECK(bytes == expected);
  }
}

TEST_CASE("calls run with nothing but our buffers and streams", "[workspace][buffer]") {
  Context& context = gpu_tests::shared_context();
  constexpr std::int64_t kTokens = 4;
  constexpr int kHidden = 1024;
  World world(context, {.devices = {0, 0}, .max_row_bytes = kHidden * 4, .max_tokens_one_shot = kTokens});
  CHECK_FALSE(world.rank(0).uses_multicast());
  const std::vector<float> ones(kTokens * kHidden, 1.0F);
  Buffer input(context, 0, ones.size() * 4);
  input.write(ones.data(), ones.size() * 4);
  std::vector<Buffer> outputs;
  std::vector<OwnedStream> streams;
  std::vector<AllReduceCall> calls;
  for (int rank = 0; rank < 2; rank++) {
    outputs.emplace_back(context, 0, ones.size() * 4);
    streams.emplace_back(context, 0);
    calls.push_back({.input = {input.data(), DataType::kF32, kTokens, kHidden},
                     .output = {outputs.back().data(), DataType::kF32, kTokens, kHidden}});
    prepare(world.rank(rank), calls.back());
  }
  for (std::size_t rank = 0; rank < 2; rank++) {
    allreduce(world.rank(static_cast<int>(rank)), calls[rank], streams[rank].get());
  }
  streams[0].synchronize();
  context.synchronize(0);
  for (const Buffer& output : outputs) {
    std::vector<float> sums(ones.size());
    output.read(sums.data(), sums.size() * 4);
    CHECK(sums == std::vector<float>(ones.size(), 2.0F));
  }
}
