// The C ABI as far as it can be called without a device: codes, messages, struct sizes, defaults, what is refused.
#include <cstddef>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "allnorm/allnorm_c.h"
#include "allnorm/error.h"
#include "allnorm/version.h"
#include "api/c_api.h"
#include "catch.h"
#include "environment.h"

namespace {

using allnorm::DataType;
using allnorm::Error;
using allnorm::ErrorCode;
using allnorm::PdlTrigger;
using allnorm::Quant;
using allnorm::ScaleLayout;
using allnorm::Strategy;

template <typename Enum>
constexpr bool same(std::int32_t number, Enum value) {
  return number == static_cast<std::int32_t>(value);
}

static_assert(same(ALLNORM_INVALID_ARGUMENT, ErrorCode::kInvalidArgument));
static_assert(same(ALLNORM_UNSUPPORTED, ErrorCode::kUnsupported));
static_assert(same(ALLNORM_NOT_PREPARED, ErrorCode::kNotPrepared));
static_assert(same(ALLNORM_CAPACITY, ErrorCode::kCapacity));
static_assert(same(ALLNORM_TIMEOUT, ErrorCode::kTimeout));
static_assert(same(ALLNORM_ABORTED, ErrorCode::kAborted));
static_assert(same(ALLNORM_DRIVER, ErrorCode::kDriver));
static_assert(same(ALLNORM_COMPILER, ErrorCode::kCompiler));
static_assert(same(ALLNORM_INVALID_TABLE, ErrorCode::kInvalidTable));
static_assert(same(ALLNORM_INVALID_ENVIRONMENT, ErrorCode::kInvalidEnvironment));
static_assert(same(ALLNORM_SIMULATION, ErrorCode::kSimulation));
static_assert(same(ALLNORM_CACHE_MISS, ErrorCode::kCacheMiss));
static_assert(same(ALLNORM_PEER, ErrorCode::kPeer));
static_assert(same(ALLNORM_MISMATCH, ErrorCode::kMismatch));

static_assert(same(ALLNORM_F32, DataType::kF32));
static_assert(same(ALLNORM_F16, DataType::kF16));
static_assert(same(ALLNORM_BF16, DataType::kBF16));
static_assert(same(ALLNORM_E4M3, DataType::kE4M3));
static_assert(same(ALLNORM_U8, DataType::kU8));
static_assert(same(ALLNORM_E2M1X2, DataType::kE2M1x2));
static_assert(same(ALLNORM_QUANT_NONE, Quant::kNone));
static_assert(same(ALLNORM_QUANT_FP8, Quant::kFp8));
static_assert(same(ALLNORM_QUANT_NVFP4, Quant::kNvfp4));
static_assert(same(ALLNORM_QUANT_DYNAMIC_FP8, Quant::kDynamicFp8));
static_assert(same(ALLNORM_SWIZZLED_128X4, ScaleLayout::kSwizzled128x4));
static_assert(same(ALLNORM_SWIZZLED_8X4, ScaleLayout::kSwizzled8x4));
static_assert(same(ALLNORM_LINEAR, ScaleLayout::kLinear));
static_assert(same(ALLNORM_ONE_SHOT, Strategy::kOneShot));
static_assert(same(ALLNORM_TWO_SHOT, Strategy::kTwoShot));
static_assert(same(ALLNORM_AUTO, Strategy::kAuto));
static_assert(same(ALLNORM_PDL_EARLY, PdlTrigger::kEarly));
static_assert(same(ALLNORM_PDL_LATE, PdlTrigger::kLate));

// Programs are compiled against these numbers. A struct may only become larger, at its end; tensor never.
static_assert(sizeof(allnorm_tensor) == 32);
static_assert(sizeof(allnorm_context_options) == 48);
static_assert(sizeof(allnorm_world_options) == 64);
static_assert(sizeof(allnorm_workspace_status) == 552);
static_assert(sizeof(allnorm_fused_call) == 280);
static_assert(sizeof(allnorm_allreduce_call) == 88);
static_assert(offsetof(allnorm_context_options, device) == 24);
static_assert(offsetof(allnorm_context_options, cache_mode) == 32);
static_assert(offsetof(allnorm_context_options, prebuilt_directories) == 40);
static_assert(offsetof(allnorm_world_options, timeout_seconds) == 48);
static_assert(offsetof(allnorm_world_options, multicast) == 56);
static_assert(offsetof(allnorm_world_options, checked) == 60);
static_assert(offsetof(allnorm_workspace_status, phase) == 44);
static_assert(offsetof(allnorm_fused_call, output_scale_pointer) == 232);
static_assert(offsetof(allnorm_fused_call, quant) == 252);
// No padding at an end: an old program would leave a later member there undefined.
static_assert(offsetof(allnorm_world_options, checked) + 4 == sizeof(allnorm_world_options));
static_assert(offsetof(allnorm_fused_call, reserved) + 4 == sizeof(allnorm_fused_call));
static_assert(offsetof(allnorm_allreduce_call, reserved) + 4 == sizeof(allnorm_allreduce_call));

std::string message() { return allnorm_last_error_message(); }

/// A handle for calls that must be refused before they follow it.
template <typename Handle>
Handle* never_followed() {
  alignas(16) static char byte = 0;
  return reinterpret_cast<Handle*>(&byte);
}

allnorm_fused_call fused_call() {
  allnorm_fused_call call;
  REQUIRE(allnorm_fused_call_init(&call) == ALLNORM_OK);
  return call;
}

/// Makes each call that takes it; all must refuse it in the same words.
void check_refused(const allnorm_fused_call& call, const std::string& words) {
  auto* workspace = never_followed<allnorm_workspace>();
  CHECK(allnorm_fused_allreduce_add_rmsnorm_quant(workspace, &call, nullptr) == ALLNORM_INVALID_ARGUMENT);
  CHECK(message() == words);
  CHECK(allnorm_fused_allreduce_add_rmsnorm(workspace, &call, nullptr) == ALLNORM_INVALID_ARGUMENT);
  CHECK(message() == words);
  CHECK(allnorm_prepare_fused(workspace, &call) == ALLNORM_INVALID_ARGUMENT);
  CHECK(message() == words);
}

}  // namespace

TEST_CASE("C: the version is that of the headers, and every status has its word") {
  CHECK(std::string(allnorm_version()) == ALLNORM_VERSION_STRING);
  CHECK(std::string(allnorm_status_name(ALLNORM_OK)) == "ok");
  CHECK(std::string(allnorm_status_name(ALLNORM_NOT_PREPARED)) == "not prepared");
  CHECK(std::string(allnorm_status_name(ALLNORM_SIMULATION)) == "simulation");
  CHECK(std::string(allnorm_status_name(ALLNORM_CACHE_MISS)) == "cache miss");
  CHECK(std::string(allnorm_status_name(ALLNORM_INTERNAL)) == "internal");
  CHECK(std::string(allnorm_status_name(55)) == "unknown error");
}

TEST_CASE("C: init fills in the defaults of C++") {
  const allnorm::FusedCall defaults;
  allnorm_fused_call call;
  std::memset(&call, 0xFF, sizeof(call));
  REQUIRE(allnorm_fused_call_init(&call) == ALLNORM_OK);
  CHECK(call.struct_size == sizeof(call));
  for (const allnorm_tensor* tensor : {&call.input, &call.residual_in, &call.gamma, &call.output, &call.residual_out,
                                       &call.quant_out, &call.scale_out}) {
    CHECK(tensor->data == nullptr);
    CHECK(tensor->rows == 0);
    CHECK(tensor->columns == 0);
  }
  CHECK(call.output_scale_pointer == nullptr);
  CHECK(call.output_scale == defaults.output_scale);
  CHECK(call.epsilon == ALLNORM_DEFAULT_EPSILON);
  CHECK(call.weight_bias == defaults.weight_bias);
  CHECK(same(call.quant, defaults.quant));
  CHECK(same(call.layout, defaults.layout));
  CHECK(same(call.strategy, defaults.strategy));
  CHECK(same(call.pdl_trigger, defaults.pdl_trigger));
  CHECK(call.launch_with_pdl == 0);
  CHECK(call.zero_scale_padding == 0);
  CHECK(call.reserved == 0);

  allnorm_allreduce_call sum;
  std::memset(&sum, 0xFF, sizeof(sum));
  REQUIRE(allnorm_allreduce_call_init(&sum) == ALLNORM_OK);
  CHECK(sum.struct_size == sizeof(sum));
  CHECK(sum.input.data == nullptr);
  CHECK(sum.strategy == ALLNORM_AUTO);
  CHECK(sum.launch_with_pdl == 0);

  allnorm_world_options world;
  std::memset(&world, 0xFF, sizeof(world));
  REQUIRE(allnorm_world_options_init(&world) == ALLNORM_OK);
  CHECK(world.struct_size == sizeof(world));
  CHECK(world.devices == nullptr);
  CHECK(world.world_size == 0);
  CHECK(world.max_row_bytes == 0);
  CHECK(world.max_tokens_one_shot == 0);
  CHECK(world.max_tokens_two_shot == 0);
  CHECK(world.timeout_seconds == ALLNORM_DEFAULT_TIMEOUT);
  CHECK(world.multicast == 0);
  CHECK(world.checked == 0);

  allnorm_context_options context;
  std::memset(&context, 0xFF, sizeof(context));
  REQUIRE(allnorm_context_options_init(&context) == ALLNORM_OK);
  CHECK(context.table_path == nullptr);
  CHECK(context.cache_directory == nullptr);
  CHECK(context.device == nullptr);

  allnorm_workspace_status status;
  std::memset(&status, 0xFF, sizeof(status));
  REQUIRE(allnorm_workspace_status_init(&status) == ALLNORM_OK);
  CHECK(status.struct_size == sizeof(status));
  CHECK(status.healthy == 1);
  CHECK(status.code == ALLNORM_OK);
  CHECK(status.rank == -1);
  CHECK(std::string(status.message).empty());
}

TEST_CASE("C: a tensor has what it was made of") {
  int memory = 0;
  const allnorm_tensor tensor = allnorm_make_tensor(&memory, ALLNORM_BF16, 3, 4096);
  CHECK(tensor.data == &memory);
  CHECK(tensor.dtype == ALLNORM_BF16);
  CHECK(tensor.rows == 3);
  CHECK(tensor.columns == 4096);
}

TEST_CASE("C: a struct that is too small or too large is refused, and told what to do") {
  allnorm_fused_call call = fused_call();
  call.struct_size = sizeof(call) + 8;
  check_refused(call,
                "call.struct_size: 288 was given; allowed are 280 to 280; the program was compiled for a newer "
                "AllNorm than " ALLNORM_VERSION_STRING);
  call.struct_size = 0;
  check_refused(call,
                "call.struct_size: 0 was given; allowed are 280 to 280; fill the struct with its init function "
                "first");

  CHECK(allnorm_fused_call_init_sized(&call, sizeof(call) + 8) == ALLNORM_INVALID_ARGUMENT);
  CHECK(call.struct_size == 0);

  allnorm_workspace_status status;
  allnorm_workspace_status_init(&status);
  status.struct_size = 4;
  auto* workspace = never_followed<allnorm_workspace>();
  CHECK(allnorm_workspace_get_status(workspace, &status) == ALLNORM_INVALID_ARGUMENT);

  allnorm_context_options options;
  allnorm_context_options_init(&options);
  options.struct_size = 1000;
  auto* context = never_followed<allnorm_context>();
  CHECK(allnorm_context_create(&options, &context) == ALLNORM_INVALID_ARGUMENT);
  CHECK(context == nullptr);
}

TEST_CASE("C: a struct grows: the library knows a member that the program does not, and uses its default") {
  using namespace allnorm::c_api;
  struct First {
    std::size_t struct_size;
    std::int32_t a;
    std::int32_t b;
  };
  struct Second {
    std::size_t struct_size;
    std::int32_t a;
    std::int32_t b;
    std::int64_t later;
  };
  struct Memory {
    First program;
    std::int64_t not_the_struct;
  };
  const Second defaults = {sizeof(Second), 1, 2, 3};

  const Memory given = {{sizeof(First), 10, 20}, 99};
  const Second seen = read_struct(reinterpret_cast<const Second*>(&given), sizeof(First), defaults, "options");
  CHECK(seen.a == 10);
  CHECK(seen.b == 20);
  CHECK(seen.later == 3);

  Memory filled = {{0, 0, 0}, 99};
  write_struct(reinterpret_cast<Second*>(&filled), sizeof(First), sizeof(First), defaults, "options");
  CHECK(filled.program.struct_size == sizeof(First));
  CHECK(filled.program.b == 2);
  CHECK(filled.not_the_struct == 99);
}

TEST_CASE("C: a null pointer is refused by name") {
  const auto refused = [](allnorm_status status, const std::string& name) {
    CHECK(status == ALLNORM_INVALID_ARGUMENT);
    CHECK(message() == name + ": NULL was given; a pointer is needed");
  };
  auto* workspace = never_followed<allnorm_workspace>();
  auto* world = never_followed<allnorm_world>();
  auto* context = never_followed<allnorm_context>();
  const allnorm_fused_call call = fused_call();
  allnorm_world_options options;
  allnorm_world_options_init(&options);

  refused(allnorm_fused_call_init(nullptr), "call");
  refused(allnorm_allreduce_call_init(nullptr), "call");
  refused(allnorm_world_options_init(nullptr), "options");
  refused(allnorm_context_options_init(nullptr), "options");
  refused(allnorm_workspace_status_init(nullptr), "status");

  refused(allnorm_context_create(nullptr, nullptr), "context");
  refused(allnorm_context_device_count(nullptr, nullptr), "context");
  refused(allnorm_context_device_count(context, nullptr), "count");
  refused(allnorm_context_is_simulated(nullptr, nullptr), "context");
  refused(allnorm_context_is_simulated(context, nullptr), "is_simulated");
  refused(allnorm_context_synchronize(nullptr, 0), "context");

  auto* buffer = never_followed<allnorm_buffer>();
  refused(allnorm_buffer_create(context, 0, 1, nullptr), "buffer");
  refused(allnorm_buffer_create(nullptr, 0, 1, &buffer), "context");
  CHECK(buffer == nullptr);
  buffer = never_followed<allnorm_buffer>();
  refused(allnorm_buffer_data(nullptr, nullptr), "buffer");
  refused(allnorm_buffer_data(buffer, nullptr), "data");
  refused(allnorm_buffer_write(nullptr, 0, &options, 1), "buffer");
  refused(allnorm_buffer_read(nullptr, 0, &options, 1), "buffer");
  refused(allnorm_buffer_fill(nullptr, 0), "buffer");
  void* stream = buffer;
  refused(allnorm_stream_create(context, 0, nullptr), "stream");
  refused(allnorm_stream_create(nullptr, 0, &stream), "context");
  CHECK(stream == nullptr);
  refused(allnorm_stream_destroy(nullptr, 0, nullptr), "context");
  refused(allnorm_stream_synchronize(nullptr, 0, nullptr), "context");

  refused(allnorm_world_create(context, &options, nullptr), "world");
  refused(allnorm_world_create(nullptr, &options, &world), "context");
  CHECK(world == nullptr);
  world = never_followed<allnorm_world>();
  refused(allnorm_world_create(context, nullptr, &world), "options");
  refused(allnorm_world_reset(nullptr), "world");
  refused(allnorm_world_size(nullptr, nullptr), "world");
  refused(allnorm_world_size(never_followed<allnorm_world>(), nullptr), "size");
  refused(allnorm_world_rank(nullptr, 0, &workspace), "world");
  CHECK(workspace == nullptr);
  refused(allnorm_world_rank(never_followed<allnorm_world>(), 0, nullptr), "workspace");

  workspace = never_followed<allnorm_workspace>();
  std::int64_t number = 0;
  refused(allnorm_workspace_max_tokens(nullptr, ALLNORM_ONE_SHOT, 4096, ALLNORM_BF16, &number), "workspace");
  refused(allnorm_workspace_max_tokens(workspace, ALLNORM_ONE_SHOT, 4096, ALLNORM_BF16, nullptr), "max_tokens");
  refused(allnorm_workspace_required_bytes(nullptr, &number), "options");
  refused(allnorm_workspace_required_bytes(&options, nullptr), "bytes");
  refused(allnorm_workspace_uses_multicast(nullptr, nullptr), "workspace");
  refused(allnorm_workspace_uses_multicast(workspace, nullptr), "uses_multicast");
  refused(allnorm_workspace_get_status(nullptr, nullptr), "workspace");
  refused(allnorm_workspace_get_status(workspace, nullptr), "status");
  refused(allnorm_workspace_abort(nullptr), "workspace");
  refused(allnorm_workspace_set_timeout(nullptr, 1.0), "workspace");

  refused(allnorm_fused_allreduce_add_rmsnorm_quant(nullptr, &call, nullptr), "workspace");
  refused(allnorm_fused_allreduce_add_rmsnorm_quant(workspace, nullptr, nullptr), "call");
  refused(allnorm_fused_allreduce_add_rmsnorm(nullptr, &call, nullptr), "workspace");
  refused(allnorm_fused_allreduce_add_rmsnorm(workspace, nullptr, nullptr), "call");
  refused(allnorm_allreduce(nullptr, nullptr, nullptr), "workspace");
  refused(allnorm_allreduce(workspace, nullptr, nullptr), "call");
  refused(allnorm_prepare_fused(nullptr, &call), "workspace");
  refused(allnorm_prepare_fused(workspace, nullptr), "call");
  refused(allnorm_prepare_allreduce(nullptr, nullptr), "workspace");
  refused(allnorm_prepare_allreduce(workspace, nullptr), "call");
}

TEST_CASE("C: destroying nothing does nothing") {
  allnorm_buffer_destroy(nullptr);
  allnorm_world_destroy(nullptr);
  allnorm_context_destroy(nullptr);
}

TEST_CASE("C: a number that is no enumerator is refused with what is allowed") {
  allnorm_fused_call call = fused_call();
  call.quant = 7;
  check_refused(call, "quant: 7 was given; allowed are 0 (none), 1 (fp8), 2 (nvfp4), 3 (dynamic_fp8)");
  call.quant = 256;  // 0 as a byte, which is what C++ keeps
  check_refused(call, "quant: 256 was given; allowed are 0 (none), 1 (fp8), 2 (nvfp4), 3 (dynamic_fp8)");

  call = fused_call();
  call.layout = -1;
  check_refused(call, "layout: -1 was given; allowed are 0 (swizzled_128x4), 1 (swizzled_8x4), 2 (linear)");

  call = fused_call();
  call.strategy = 2;
  check_refused(call, "strategy: 2 was given; allowed are 0 (one_shot), 1 (two_shot), 99 (auto)");

  call = fused_call();
  call.pdl_trigger = 2;
  check_refused(call, "pdl_trigger: 2 was given; allowed are 0 (early), 1 (late)");

  call = fused_call();
  call.gamma = allnorm_make_tensor(nullptr, 17, 1, 4096);  // prepare looks at shapes and dtypes without data
  check_refused(call,
                "gamma.dtype: 17 was given; allowed are 0 (f32), 1 (f16), 2 (bf16), 3 (e4m3), 4 (u8), "
                "5 (e2m1x2)");

  allnorm_allreduce_call sum;
  allnorm_allreduce_call_init(&sum);
  sum.strategy = 3;
  auto* workspace = never_followed<allnorm_workspace>();
  CHECK(allnorm_allreduce(workspace, &sum, nullptr) == ALLNORM_INVALID_ARGUMENT);
  CHECK(message() == "strategy: 3 was given; allowed are 0 (one_shot), 1 (two_shot), 99 (auto)");
  CHECK(allnorm_prepare_allreduce(workspace, &sum) == ALLNORM_INVALID_ARGUMENT);

  std::int64_t tokens = 0;
  CHECK(allnorm_workspace_max_tokens(workspace, 5, 4096, ALLNORM_BF16, &tokens) == ALLNORM_INVALID_ARGUMENT);
  CHECK(message() == "strategy: 5 was given; allowed are 0 (one_shot), 1 (two_shot), 99 (auto)");
  CHECK(allnorm_workspace_max_tokens(workspace, ALLNORM_AUTO, 4096, -2, &tokens) == ALLNORM_INVALID_ARGUMENT);
}

TEST_CASE("C: the devices of a world are read only if there is a sensible number of them") {
  allnorm_world_options options;
  allnorm_world_options_init(&options);
  std::int64_t bytes = 0;
  for (const std::int32_t size : {-1, 0, 73}) {
    options.world_size = size;
    CHECK(allnorm_workspace_required_bytes(&options, &bytes) == ALLNORM_INVALID_ARGUMENT);
    CHECK(message() == "options.world_size: " + std::to_string(size) + " was given; allowed are 1 to 72");
  }
}

TEST_CASE("C: required_bytes is that of C++, with devices and, for a group of processes, without") {
  const std::int32_t devices[] = {0, 1};
  allnorm_world_options options;
  allnorm_world_options_init(&options);
  for (const std::int32_t* of_ranks :
       {static_cast<const std::int32_t*>(devices), static_cast<const std::int32_t*>(nullptr)}) {
    options.devices = of_ranks;
    options.world_size = 2;
    options.max_row_bytes = 8192;
    options.max_tokens_one_shot = 64;
    options.max_tokens_two_shot = 512;
    std::int64_t bytes = 0;
    REQUIRE(allnorm_workspace_required_bytes(&options, &bytes) == ALLNORM_OK);
    CHECK(bytes == allnorm::Workspace::required_bytes({{0, 1}, 8192, 64, 512, {}}));
  }
}

TEST_CASE("C: every exception becomes a code and a text") {
  using allnorm::c_api::guarded;
  CHECK(guarded([] { throw Error(ErrorCode::kCapacity, "too small"); }) == ALLNORM_CAPACITY);
  CHECK(message() == "too small");
  CHECK(guarded([] { throw std::bad_alloc(); }) == ALLNORM_INTERNAL);
  CHECK(message() == "host memory ran out");
  CHECK(guarded([] { throw std::runtime_error("of another kind"); }) == ALLNORM_INTERNAL);
  CHECK(message() == "of another kind");
  CHECK(guarded([] { throw 1; }) == ALLNORM_INTERNAL);
  CHECK(message() == "an exception of an unknown type");

  SECTION("success keeps the text of the failure before it") {
    CHECK(guarded([] {}) == ALLNORM_OK);
    CHECK(message() == "an exception of an unknown type");
  }
  SECTION("another thread has no part in it") {
    std::string elsewhere = "not asked";
    std::thread([&] { elsewhere = message(); }).join();
    CHECK(elsewhere.empty());
  }
}

TEST_CASE("C: a driver that is not there is ALLNORM_DRIVER where GPUs were asked for, on any machine") {
  const allnorm::testing::NoDriver no_driver;
  allnorm_context_options options;
  REQUIRE(allnorm_context_options_init(&options) == ALLNORM_OK);
  options.device = "cuda";
  allnorm_context* context = never_followed<allnorm_context>();
  CHECK(allnorm_context_create(&options, &context) == ALLNORM_DRIVER);
  CHECK(context == nullptr);
  CHECK(message().find("/nonexistent/libcuda.so.1") != std::string::npos);
}
