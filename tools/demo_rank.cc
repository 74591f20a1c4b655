#include "demo_rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "reference/patterns.h"

namespace allnorm::tools {
namespace {

constexpr std::uint8_t kPoison = 0xA5;
constexpr ScaleLayout kLayout = ScaleLayout::kSwizzled128x4;

/// Such that normalised rows use the range of the format: FP8 divides by it, NVFP4 multiplies.
float output_scale(Quant quant) {
  switch (quant) {
    case Quant::kFp8: return 0.05F;
    case Quant::kNvfp4: return 128.0F;
    default: return 1.0F;
  }
}

std::vector<std::uint8_t> random_matrix(const DemoOptions& options, int rank, std::int64_t rows) {
  const DemoShape& shape = options.shape;
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(rows * shape.hidden_dim) * size_of(shape.dtype));
  reference::fill(reference::Pattern::kRandom, shape.dtype, options.seed, rank, bytes.data(), rows, shape.hidden_dim);
  return bytes;
}

std::size_t matrix_bytes(const DemoShape& shape) {
  return static_cast<std::size_t>(shape.tokens * shape.hidden_dim) * size_of(shape.dtype);
}

Buffer upload(Context& context, int device, const std::vector<std::uint8_t>& bytes) {
  Buffer buffer(context, device, bytes.size());
  buffer.write(bytes.data(), bytes.size());
  return buffer;
}

}  // namespace

Inputs make_inputs(const DemoOptions& options) {
  Inputs inputs;
  const DemoShape& shape = options.shape;
  for (int rank = 0; rank < shape.ranks; ++rank) inputs.rows.push_back(random_matrix(options, rank, shape.tokens));
  inputs.residual = random_matrix(options, reference::kResidualRank, shape.tokens);
  inputs.gamma = random_matrix(options, reference::kGammaRank, 1);
  return inputs;
}

reference::Outputs expect(const DemoShape& shape, const Inputs& inputs, Quant quant) {
  reference::Call call;
  call.world_size = shape.ranks;
  call.tokens = shape.tokens;
  call.hidden_dim = shape.hidden_dim;
  call.dtype = call.gamma_dtype = shape.dtype;
  call.quant = quant;
  call.layout = kLayout;
  call.epsilon = reference::default_epsilon(shape.dtype);
  call.output_scale = output_scale(quant);
  std::vector<const void*> rows;
  rows.reserve(inputs.rows.size());
  for (const auto& matrix : inputs.rows) rows.push_back(matrix.data());
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  return reference::run(call, rows, inputs.residual.data(), inputs.gamma.data(), kPoison, static_cast<int>(threads));
}

RankBuffers::RankBuffers(Context& context, int device, const DemoOptions& options, const Inputs& inputs, int rank)
    : shape_(options.shape),
      rank_(rank),
      input_(upload(context, device, inputs.rows[static_cast<std::size_t>(rank)])),
      residual_in_(upload(context, device, inputs.residual)),
      gamma_(upload(context, device, inputs.gamma)),
      output_(context, device, matrix_bytes(shape_)),
      residual_out_(context, device, matrix_bytes(shape_)),
      quant_out_(context, device, matrix_bytes(shape_)),
      scale_out_(context, device,
                 std::max(nvfp4_scale_bytes(shape_.tokens, shape_.hidden_dim, kLayout),
                          static_cast<std::size_t>(shape_.tokens) * sizeof(float))) {}

void RankBuffers::poison() {
  for (Buffer* buffer : {&output_, &residual_out_, &quant_out_, &scale_out_}) buffer->fill(kPoison);
}

Tensor RankBuffers::rows_of(const Buffer& buffer) const {
  return {buffer.data(), shape_.dtype, shape_.tokens, shape_.hidden_dim};
}

FusedCall RankBuffers::call(Quant quant) const {
  FusedCall call;
  call.input = rows_of(input_);
  call.residual_in = rows_of(residual_in_);
  call.gamma = {gamma_.data(), shape_.dtype, 1, shape_.hidden_dim};
  call.residual_out = rows_of(residual_out_);
  call.quant = quant;
  call.layout = kLayout;
  call.output_scale = output_scale(quant);
  void* const codes = quant_out_.data();
  void* const scales = scale_out_.data();
  switch (quant) {
    case Quant::kNone: call.output = rows_of(output_); break;
    case Quant::kDynamicFp8: call.scale_out = {scales, DataType::kF32, shape_.tokens, 1}; [[fallthrough]];
    case Quant::kFp8: call.quant_out = {codes, DataType::kE4M3, shape_.tokens, shape_.hidden_dim}; break;
    case Quant::kNvfp4:
      call.quant_out = {codes, DataType::kU8, shape_.tokens, shape_.hidden_dim / 2};
      call.scale_out = {scales, DataType::kE4M3, 1,
                        static_cast<std::int64_t>(nvfp4_scale_bytes(shape_.tokens, shape_.hidden_dim, kLayout))};
      break;
  }
  return call;
}

std::vector<std::string> RankBuffers::compare(Quant quant, const reference::Outputs& expected, int& outputs) const {
  std::vector<std::string> differences;
  compare_one("residual_out", residual_out_, expected.residual_out, outputs, differences);
  if (quant == Quant::kNone) {
    compare_one("output", output_, expected.output, outputs, differences);
    return differences;
  }
  compare_one("quant_out", quant_out_, expected.quant_out, outputs, differences);
  if (quant != Quant::kFp8) compare_one("scale_out", scale_out_, expected.scale_out, outputs, differences);
  return differences;
}

void RankBuffers::compare_one(const char* name, const Buffer& buffer, const std::vector<std::uint8_t>& expected,
                              int& outputs, std::vector<std::string>& differences) const {
  ++outputs;
  std::vector<std::uint8_t> got(expected.size());
  buffer.read(got.data(), got.size());
  std::size_t count = 0;
  std::size_t first = 0;
  for (std::size_t i = got.size(); i-- > 0;) {
    if (got[i] == expected[i]) continue;
    ++count;
    first = i;
  }
  if (count == 0) return;
  differences.push_back(fmt::format("rank {}: {}: {} of {} bytes differ, the first at {}: {:02x}, expected {:02x}",
                                    rank_, name, count, got.size(), first, got[first], expected[first]));
}

}  // namespace allnorm::tools
