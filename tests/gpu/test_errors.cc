// Calls that are refused: the code, the whole message, and that nothing was launched, written or broken.
#include <fmt/format.h>

#include <array>

#include "catch.h"
#include "error_of.h"
#include "gpu/refused.h"
#include "gpu/report.h"

namespace allnorm::gpu_tests {
namespace {

using testing::error_of;

struct Argument {
  const char* name;
  Tensor FusedCall::* tensor;
};
constexpr std::array kTensors = {Argument{"input", &FusedCall::input},
                                 Argument{"residual_in", &FusedCall::residual_in},
                                 Argument{"gamma", &FusedCall::gamma},
                                 Argument{"output", &FusedCall::output},
                                 Argument{"residual_out", &FusedCall::residual_out},
                                 Argument{"quant_out", &FusedCall::quant_out},
                                 Argument{"scale_out", &FusedCall::scale_out}};

/// Of rank 0, each tensor in turn in memory that it cannot have.
void check_memory_is_refused(Session& session, void* foreign, const std::string& whose) {
  const std::string given = fmt::format(": {} was given; rank 0 runs on GPU 0 and needs memory of that GPU", whose);
  const Stream stream = session.stream(0).get();
  for (const Argument& argument : kTensors) {
    auto call = std::get<FusedCall>(session.call(0, 0));
    (call.*argument.tensor).data = foreign;
    check_refused(session, 0, call, stream, ErrorCode::kInvalidArgument, argument.name + given);
  }
  auto call = std::get<FusedCall>(session.call(0, 0));
  call.output_scale_pointer = static_cast<const float*>(foreign);
  check_refused(session, 0, call, stream, ErrorCode::kInvalidArgument, "output_scale_pointer" + given);
  for (Tensor AllReduceCall::* const tensor : {&AllReduceCall::input, &AllReduceCall::output}) {
    AllReduceCall sum{call.input, call.output, false, PdlTrigger::kEarly, Strategy::kOneShot};
    (sum.*tensor).data = foreign;
    const char* const name = tensor == &AllReduceCall::input ? "input" : "output";
    check_refused(session, 0, sum, stream, ErrorCode::kInvalidArgument, name + given);
  }
}

/// Also once the workspace knows the addresses of a good call.
void check_memory_is_always_refused(Session& session, void* foreign, const std::string& whose) {
  load(session, {refusable_case(Strategy::kOneShot, 3)});
  check_memory_is_refused(session, foreign, whose);
  check_right(session);
  session.refill();
  check_memory_is_refused(session, foreign, whose);
  check_right(session);
}

TEST_CASE("memory of the host is refused, whatever argument it is", "[virtual][errors]") {
  alignas(256) static std::array<std::byte, 65536> host;
  Session session(refusable_options({0, 0}));
  check_memory_is_always_refused(session, host.data(), "memory that is not of a GPU");
}

TEST_CASE("memory of another GPU is refused, whatever argument it is", "[.][two_gpus][errors]") {
  if (!has_gpus(2)) return;
  Session session(refusable_options({0, 1}));
  const GpuBuffer other(Gpu::at(1), 65536);
  check_memory_is_always_refused(session, other.data(), "memory of GPU 1");
}

void check_unprepared_capture(const std::vector<int>& devices, Strategy strategy) {
  Session session(refusable_options(devices));
  load(session, {refusable_case(strategy, 3), refusable_case(strategy, 8)});
  for (int rank = 0; rank < session.size(); ++rank) session.workspace(rank).impl().force_geometry(Geometry{1, 8, 1});
  const std::string message = fmt::format(
      "the stream is being captured and this call has no kernel yet; call prepare() with it before the capture "
      "(target={} operation=fused strategy={} transport=unicast dtype=bf16 gamma_dtype=bf16 quant=nvfp4 "
      "layout=swizzled_128x4 has_output=1 has_residual_out=1 zero_scale_padding=0 pdl=off world_size=2 ctas_per_row=1 "
      "warps_per_cta=8 chunks_per_warp=1 hidden_dim=2048)",
      to_string(session.workspace(0).impl().device().target()), to_string(strategy));
  for (int rank = 0; rank < session.size(); ++rank) {
    // The capture goes on, and ends, without the refused calls.
    const GpuGraph graph(session.stream(rank), [&] {
      CHECK(error_of(ErrorCode::kNotPrepared, [&] { session.enqueue(0, rank); }) == message);
      CHECK(error_of(ErrorCode::kCapacity, [&] { session.enqueue(1, rank); }) == capacity_message(8, strategy));
    });
    CHECK(graph.nodes() == 0);
    check_untouched(session);
  }

  load(session, {refusable_case(strategy, 3)});
  prepare_first(session);
  std::vector<std::unique_ptr<GpuGraph>> graphs;
  for (int rank = 0; rank < session.size(); ++rank) {
    graphs.push_back(std::make_unique<GpuGraph>(session.stream(rank), [&] { session.enqueue(0, rank); }));
    CHECK(graphs.back()->nodes() == 1);
    graphs.back()->upload();
  }
  session.wait();
  for (const auto& graph : graphs) graph->launch();
  check_right_results(session);
}

TEST_CASE("a captured call that is not prepared is refused, and the capture goes on", "[virtual][errors]") {
  check_unprepared_capture({0, 0}, Strategy::kOneShot);
  check_unprepared_capture({0, 0}, Strategy::kTwoShot);
}

TEST_CASE("a captured call that is not prepared is refused on two GPUs as well", "[.][two_gpus][errors]") {
  if (has_gpus(2)) check_unprepared_capture({0, 1}, Strategy::kOneShot);
}

TEST_CASE("a blocking or default stream is refused where ranks share a GPU", "[virtual][errors]") {
  Session session(refusable_options({0, 0}));
  load(session, {refusable_case(Strategy::kOneShot, 3)});
  const BlockingStream blocking(Gpu::at(0));
  for (const CUstream stream : {blocking.get(), CUstream{nullptr}, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD}) {
    for (int rank = 0; rank < 2; ++rank) {
      check_refused(session, rank, session.call(0, rank), stream, ErrorCode::kInvalidArgument,
                    "stream: virtual ranks share a GPU and need streams that run beside each other; a blocking or "
                    "default stream was given, one made with cudaStreamNonBlocking is needed");
    }
  }
  check_right(session);
}

TEST_CASE("a stream of another GPU is refused, a default stream of one too", "[.][two_gpus][errors]") {
  if (!has_gpus(2)) return;
  Session session(refusable_options({0, 1}));
  load(session, {refusable_case(Strategy::kOneShot, 3)});
  for (int rank = 0; rank < 2; ++rank) {
    const std::string message = fmt::format(
        "stream: belongs to another GPU or context; this rank runs on GPU {} and needs a stream of that GPU's primary "
        "context (cudaSetDevice({}) before the stream is made or a default stream is used)",
        rank, rank);
    const AnyCall call = session.call(0, rank);
    Gpu& other = Gpu::at(1 - rank);
    check_refused(session, rank, call, session.stream(1 - rank).get(), ErrorCode::kInvalidArgument, message);
    const cuda::CurrentContext current(other.driver(), other.device().context());
    for (const CUstream stream : {CUstream{nullptr}, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD}) {
      check_refused(session, rank, call, stream, ErrorCode::kInvalidArgument, message);
    }
  }
  check_right(session);
}

TEST_CASE("ranks on GPUs of their own may use blocking and default streams", "[.][two_gpus][errors]") {
  if (!has_gpus(2)) return;
  Session session(refusable_options({0, 1}));
  load(session, {refusable_case(Strategy::kOneShot, 3)});
  prepare_first(session);
  const BlockingStream blocking(Gpu::at(0));
  enqueue(session.workspace(0), session.call(0, 0), blocking.get());
  {
    Gpu& gpu = Gpu::at(1);
    const cuda::CurrentContext current(gpu.driver(), gpu.device().context());
    enqueue(session.workspace(1), session.call(0, 1), nullptr);
  }
  for (int rank = 0; rank < 2; ++rank) Gpu::at(rank).device().synchronize();  // the calls give up after 5 s
  check_right_results(session);
}

}  // namespace
}  // namespace allnorm::gpu_tests
