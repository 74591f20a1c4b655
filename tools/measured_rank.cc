#include "measured_rank.h"

#include <fmt/format.h>

#include <algorithm>

#include "allnorm/error.h"
#include "api/call_spec.h"
#include "comm/workspace_impl.h"

namespace allnorm::tools {
namespace {

/// Much longer than calls that give up at their World's timeout.
constexpr double kWaitSeconds = 60;
constexpr unsigned kWriteThreads = 512;

/// Two numbers near one, or one of f32.
std::uint32_t word_of(DataType dtype) { return dtype == DataType::kF16 ? 0x3C1D3C2B : 0x3F8C3F91; }

std::size_t l2_bytes(const gpu_tests::Gpu& gpu, int ordinal) {
  CUdevice device = 0;
  int bytes = 0;
  gpu.check(gpu.driver().cuDeviceGet(&device, ordinal), "cuDeviceGet");
  gpu.check(gpu.driver().cuDeviceGetAttribute(&bytes, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, device),
            "cuDeviceGetAttribute");
  return static_cast<std::size_t>(bytes);
}

}  // namespace

MeasuredRank::MeasuredRank(int gpu, Workspace& workspace, const RowShape& shape, bool cold_l2)
    : shape_(shape), workspace_(workspace), gpu_(gpu_tests::Gpu::at(gpu)), stream_(gpu_), begin_(gpu_), end_(gpu_) {
  if (cold_l2) {
    kernels_ = std::make_unique<BenchKernels>(gpu_.device());
    l2_sized_ = std::make_unique<gpu_tests::GpuBuffer>(gpu_, l2_bytes(gpu_, gpu));
  }
  const std::int64_t tokens = shape.max_tokens;
  const std::size_t row_bytes = static_cast<std::size_t>(shape.hidden_dim) * size_of(shape.dtype);
  const std::size_t bytes = static_cast<std::size_t>(tokens) * row_bytes;
  const std::size_t scale_bytes = std::max(static_cast<std::size_t>(tokens) * sizeof(float),
                                           nvfp4_scale_bytes(tokens, shape.hidden_dim, ScaleLayout::kSwizzled128x4));
  const auto rows = [&] { return Tensor{allocate(bytes), shape.dtype, tokens, shape.hidden_dim}; };
  tensors_.input = rows();
  tensors_.residual_in = rows();
  tensors_.gamma = {allocate(row_bytes), shape.dtype, 1, shape.hidden_dim};
  tensors_.residual_out = rows();
  tensors_.output = rows();
  tensors_.quant_out.data = allocate(bytes);
  tensors_.scale_out.data = allocate(scale_bytes);
  tensors_.output_scale = 0.05F;
}

void* MeasuredRank::allocate(std::size_t bytes) {
  const gpu_tests::GpuBuffer& buffer = memory_.emplace_back(gpu_, (bytes + 15) / 16 * 16);
  buffer.fill(word_of(shape_.dtype));
  return buffer.data();
}

FusedCall MeasuredRank::call(const Variant& variant) const {
  FusedCall call = tensors_;
  const std::int64_t tokens = variant.tokens;
  for (Tensor* tensor : {&call.input, &call.residual_in, &call.residual_out, &call.output}) tensor->rows = tokens;
  call.strategy = variant.strategy;
  call.launch_with_pdl = variant.pdl != Pdl::kOff;
  call.pdl_trigger = variant.pdl == Pdl::kLateTrigger ? PdlTrigger::kLate : PdlTrigger::kEarly;
  call.quant = variant.quant;
  call.layout = variant.layout;
  void* const codes = tensors_.quant_out.data;
  void* const scales = tensors_.scale_out.data;
  call.scale_out = {};
  if (variant.quant == Quant::kNone) {
    call.quant_out = {};
    return call;
  }
  call.output = {};
  call.quant_out = {codes, DataType::kE4M3, tokens, shape_.hidden_dim};
  if (variant.quant == Quant::kDynamicFp8) call.scale_out = {scales, DataType::kF32, tokens, 1};
  if (variant.quant != Quant::kNvfp4) return call;
  call.quant_out = {codes, DataType::kU8, tokens, shape_.hidden_dim / 2};
  if (variant.layout == ScaleLayout::kLinear) {
    call.scale_out = {scales, DataType::kE4M3, tokens, shape_.hidden_dim / 16};
  } else {
    const std::size_t bytes = nvfp4_scale_bytes(tokens, shape_.hidden_dim, variant.layout);
    call.scale_out = {scales, DataType::kE4M3, 1, static_cast<std::int64_t>(bytes)};
  }
  return call;
}

void MeasuredRank::compile(std::span<const Variant> variants,
                           const std::function<void(std::size_t done)>& on_progress) {
  std::vector<Spec> specs;
  for (const Variant& variant : variants) {
    if (!variant.geometry || variant.strategy == Strategy::kAuto) continue;
    Spec spec = spec_of(workspace_.impl(), call(variant));
    spec.strategy = variant.strategy;
    spec.geometry = *variant.geometry;
    if (std::find(specs.begin(), specs.end(), spec) == specs.end()) specs.push_back(spec);
  }
  workspace_.impl().context.plans().compile(specs, 0, [&](const CompileStep& step) { on_progress(step.done); });
}

std::vector<bool> MeasuredRank::prepare(std::span<const Variant> variants,
                                        const std::function<void(std::size_t done)>& on_progress) {
  compile(variants, on_progress);
  std::vector<bool> fits(variants.size(), true);
  std::vector<FusedCall> of_dispatcher;
  for (std::size_t v = 0; v < variants.size(); ++v) {
    on_progress(v);
    const FusedCall one = call(variants[v]);
    if (!variants[v].geometry) {
      of_dispatcher.push_back(one);
      continue;
    }
    workspace_.impl().force_geometry(variants[v].geometry);
    try {
      allnorm::prepare(workspace_, one);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      fits[v] = false;
    }
  }
  workspace_.impl().force_geometry(std::nullopt);
  if (!of_dispatcher.empty()) allnorm::prepare(workspace_, of_dispatcher);
  return fits;
}

void MeasuredRank::enqueue(const Variant& variant, int calls) {
  const FusedCall one = call(variant);
  workspace_.impl().force_geometry(variant.geometry);
  for (int i = 0; i < calls; ++i) {
    if (l2_sized_ != nullptr) enqueue_writes(1);
    if (one.quant == Quant::kNone) {
      fused_allreduce_add_rmsnorm(workspace_, one, stream_.get());
    } else {
      fused_allreduce_add_rmsnorm_quant(workspace_, one, stream_.get());
    }
  }
}

void MeasuredRank::enqueue_writes(int count) {
  const auto ctas = static_cast<unsigned>(2 * gpu_.device().multiprocessors());
  for (int i = 0; i < count; ++i) {
    stream_.launch(kernels_->write, ctas, 1, kWriteThreads, static_cast<void*>(l2_sized_->data()),
                   std::uint64_t{l2_sized_->bytes() / 16});
  }
}

void MeasuredRank::wait() {
  if (stream_.wait(kWaitSeconds)) return;
  const WorkspaceStatus status = workspace_.status();
  workspace_.abort();
  throw Error(ErrorCode::kTimeout, fmt::format("calls did not end within {} s: {}", kWaitSeconds, status.message));
}

double MeasuredRank::time(const std::function<void()>& launch) {
  begin_.record(stream_);
  launch();
  end_.record(stream_);
  wait();
  return end_.milliseconds_since(begin_) * 1e3;
}

void MeasuredRank::check_health() const {
  const WorkspaceStatus status = workspace_.status();
  if (!status.healthy) throw Error(status.code, status.message);
}

Measured MeasuredRank::chosen(const Variant& variant) const {
  const Workspace::Impl& impl = workspace_.impl();
  const CallShape shape = {Operation::kFused, shape_.dtype, variant.quant, shape_.hidden_dim, variant.tokens};
  const Choice choice = impl.dispatcher().choose(shape, variant.strategy, impl.capacity);
  return {{}, choice.strategy, variant.geometry.value_or(choice.geometry)};
}

Transport MeasuredRank::transport() const { return workspace_.impl().transport(); }

}  // namespace allnorm::tools
