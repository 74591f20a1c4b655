// The C ABI on simulated GPUs: contexts, memory and streams, and a call from its first line to its last.
#include <cstdint>
#include <string>
#include <vector>

#include "allnorm/allnorm_c.h"
#include "catch.h"
#include "environment.h"
#include "simulation.h"

using allnorm::testing::kernel_cache;
using allnorm::testing::NoDriver;
using allnorm::testing::Variable;

namespace {

std::string message() { return allnorm_last_error_message(); }

class CContext {
 public:
  explicit CContext(const char* device) {
    allnorm_context_options options;
    REQUIRE(allnorm_context_options_init(&options) == ALLNORM_OK);
    options.cache_directory = kernel_cache().c_str();
    options.device = device;
    const allnorm_status status = allnorm_context_create(&options, &context_);
    INFO(message());
    REQUIRE(status == ALLNORM_OK);
  }
  ~CContext() { allnorm_context_destroy(context_); }
  CContext(const CContext&) = delete;
  CContext& operator=(const CContext&) = delete;
  allnorm_context* get() const { return context_; }

 private:
  allnorm_context* context_ = nullptr;
};

/// A rank's memory, stream and call: rows of ones, quantized to FP8.
struct CRank {
  CRank(allnorm_context* of_context, allnorm_world* world, std::int32_t rank, std::int64_t tokens, std::int64_t hidden)
      : context(of_context), device(rank) {
    const std::vector<float> ones(static_cast<std::size_t>(tokens * hidden), 1.0F);
    REQUIRE(allnorm_world_rank(world, rank, &workspace) == ALLNORM_OK);
    REQUIRE(allnorm_buffer_create(context, device, ones.size() * 4, &rows) == ALLNORM_OK);
    REQUIRE(allnorm_buffer_write(rows, 0, ones.data(), ones.size() * 4) == ALLNORM_OK);
    REQUIRE(allnorm_buffer_create(context, device, ones.size(), &codes) == ALLNORM_OK);
    REQUIRE(allnorm_buffer_fill(codes, 0xA5) == ALLNORM_OK);
    REQUIRE(allnorm_stream_create(context, device, &stream) == ALLNORM_OK);
    void* data = nullptr;
    REQUIRE(allnorm_fused_call_init(&call) == ALLNORM_OK);
    REQUIRE(allnorm_buffer_data(rows, &data) == ALLNORM_OK);
    call.input = call.residual_in = allnorm_make_tensor(data, ALLNORM_F32, tokens, hidden);
    call.gamma = allnorm_make_tensor(data, ALLNORM_F32, 1, hidden);
    REQUIRE(allnorm_buffer_data(codes, &data) == ALLNORM_OK);
    call.quant_out = allnorm_make_tensor(data, ALLNORM_E4M3, tokens, hidden);
    call.quant = ALLNORM_QUANT_FP8;
    call.strategy = ALLNORM_ONE_SHOT;
    REQUIRE(allnorm_prepare_fused(workspace, &call) == ALLNORM_OK);
  }
  ~CRank() {
    CHECK(allnorm_stream_destroy(context, device, stream) == ALLNORM_OK);
    allnorm_buffer_destroy(rows);
    allnorm_buffer_destroy(codes);
  }
  CRank(const CRank&) = delete;
  CRank& operator=(const CRank&) = delete;

  std::vector<std::uint8_t> result() const {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(call.quant_out.rows * call.quant_out.columns));
    CHECK(allnorm_buffer_read(codes, 0, bytes.data(), bytes.size()) == ALLNORM_OK);
    return bytes;
  }

  allnorm_context* context;
  std::int32_t device;
  allnorm_workspace* workspace = nullptr;
  allnorm_buffer* rows = nullptr;
  allnorm_buffer* codes = nullptr;
  void* stream = nullptr;
  allnorm_fused_call call{};
};

}  // namespace

TEST_CASE("C: a context says what it is") {
  const NoDriver no_driver;
  std::int32_t count = 0;
  std::int32_t simulated = -1;
  {
    const CContext context("sim:3");
    CHECK(allnorm_context_device_count(context.get(), &count) == ALLNORM_OK);
    CHECK(count == 3);
    CHECK(allnorm_context_is_simulated(context.get(), &simulated) == ALLNORM_OK);
    CHECK(simulated == 1);
    CHECK(allnorm_context_synchronize(context.get(), 2) == ALLNORM_OK);
    CHECK(allnorm_context_synchronize(context.get(), 3) == ALLNORM_INVALID_ARGUMENT);
    CHECK(message() == "device: GPU 3 was given; this simulator has GPUs 0 to 2");
  }
  // As an old program sees it, whose options end before `device`; nobody follows what lies there.
  const Variable device("ALLNORM_DEVICE", "sim:4");
  allnorm_context_options options;
  REQUIRE(allnorm_context_options_init_sized(&options, 24) == ALLNORM_OK);
  options.device = reinterpret_cast<const char*>(std::uintptr_t{1});
  allnorm_context* context = nullptr;
  REQUIRE(allnorm_context_create(&options, &context) == ALLNORM_OK);
  CHECK(allnorm_context_device_count(context, &count) == ALLNORM_OK);
  CHECK(count == 4);
  allnorm_context_destroy(context);

  REQUIRE(allnorm_context_options_init(&options) == ALLNORM_OK);
  options.device = "gpu";
  CHECK(allnorm_context_create(&options, &context) == ALLNORM_INVALID_ARGUMENT);
  CHECK(context == nullptr);
  CHECK(message() ==
        "device: \"gpu\" was given; cuda, sim or sim:N with N from 1 to 72 is allowed, or nothing for $ALLNORM_DEVICE");
}

TEST_CASE("C: buffers hold bytes, and refuse what does not fit") {
  const CContext context("sim:1");
  allnorm_buffer* buffer = nullptr;
  CHECK(allnorm_buffer_create(context.get(), 0, 0, &buffer) == ALLNORM_INVALID_ARGUMENT);
  CHECK(message() == "bytes: 0 was given; at least 1 is needed");
  CHECK(buffer == nullptr);
  REQUIRE(allnorm_buffer_create(context.get(), 0, 5, &buffer) == ALLNORM_OK);
  CHECK(allnorm_buffer_fill(buffer, 7) == ALLNORM_OK);
  const std::uint8_t two[] = {1, 2};
  CHECK(allnorm_buffer_write(buffer, 3, two, 2) == ALLNORM_OK);
  std::uint8_t all[5] = {};
  CHECK(allnorm_buffer_read(buffer, 0, all, 5) == ALLNORM_OK);
  CHECK(std::vector<std::uint8_t>(all, all + 5) == std::vector<std::uint8_t>{7, 7, 7, 1, 2});
  CHECK(allnorm_buffer_write(buffer, 4, two, 2) == ALLNORM_INVALID_ARGUMENT);
  CHECK(message() == "bytes, offset: 2 bytes from 4 on were given; this buffer holds 5");
  CHECK(allnorm_buffer_read(buffer, 0, nullptr, 2) == ALLNORM_INVALID_ARGUMENT);
  CHECK(message() == "to: a null pointer was given; memory of the host is needed");
  allnorm_buffer_destroy(buffer);
}

TEST_CASE("C: a stream is one of its GPU") {
  const CContext context("sim:2");
  void* stream = nullptr;
  CHECK(allnorm_stream_create(context.get(), 2, &stream) == ALLNORM_INVALID_ARGUMENT);
  CHECK(stream == nullptr);
  REQUIRE(allnorm_stream_create(context.get(), 1, &stream) == ALLNORM_OK);
  CHECK(allnorm_stream_synchronize(context.get(), 1, stream) == ALLNORM_OK);
  CHECK(allnorm_stream_synchronize(context.get(), 0, stream) == ALLNORM_INVALID_ARGUMENT);
  CHECK(allnorm_stream_destroy(context.get(), 1, nullptr) == ALLNORM_OK);
  CHECK(allnorm_stream_destroy(context.get(), 1, stream) == ALLNORM_OK);
  CHECK(allnorm_stream_synchronize(context.get(), 1, stream) == ALLNORM_INVALID_ARGUMENT);
}

TEST_CASE("C: a call runs on simulated GPUs") {
  const CContext context("sim:2");
  const std::int32_t devices[] = {0, 1};
  allnorm_world_options options;
  REQUIRE(allnorm_world_options_init(&options) == ALLNORM_OK);
  options.devices = devices;
  options.world_size = 2;
  options.max_row_bytes = 2048;
  options.max_tokens_one_shot = 3;
  options.multicast = 1;
  allnorm_world* world = nullptr;
  REQUIRE(allnorm_world_create(context.get(), &options, &world) == ALLNORM_OK);
  {
    CRank first(context.get(), world, 0, 3, 512);
    CRank second(context.get(), world, 1, 3, 512);
    std::int32_t multicast = -1;
    CHECK(allnorm_workspace_uses_multicast(first.workspace, &multicast) == ALLNORM_OK);
    CHECK(multicast == 1);
    for (CRank* rank : {&first, &second}) {
      REQUIRE(allnorm_fused_allreduce_add_rmsnorm_quant(rank->workspace, &rank->call, rank->stream) == ALLNORM_OK);
    }
    CHECK(allnorm_stream_synchronize(context.get(), 0, first.stream) == ALLNORM_OK);
    CHECK(allnorm_context_synchronize(context.get(), 1) == ALLNORM_OK);
    // 3 / sqrt(mean of 3 * 3) is 1.
    const std::vector<std::uint8_t> expected(std::size_t{3} * 512, 0x38);
    CHECK(first.result() == expected);
    CHECK(second.result() == expected);
  }
  allnorm_world_destroy(world);
}
