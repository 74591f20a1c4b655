#include "reference/reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <thread>

#include "reference/numbers.h"
#include "reference/rows.h"

namespace allnorm::reference {
namespace {

constexpr int kLanes = 32;
constexpr std::size_t kBlock = 16;  // columns under one NVFP4 scale

using Lanes = std::array<float, kLanes>;

/// The xor butterfly 16, 8, 4, 2, 1. Addition commutes, so all lanes end with the bits of lane 0,
/// and only the lanes that lead to it are folded.
float butterfly(Lanes lanes) {
  for (std::size_t step = kLanes / 2; step > 0; step /= 2) {
    for (std::size_t lane = 0; lane < step; ++lane) lanes[lane] += lanes[lane + step];
  }
  return lanes[0];
}

float largest_magnitude(std::span<const float> values) {
  float amax = 0.0F;
  for (const float value : values) {
    if (std::fabs(value) > amax) amax = std::fabs(value);  // false for NaN
  }
  return amax;
}

void multiply_to_e4m3(std::span<const float> n, float factor, std::uint8_t* codes) {
  for (std::size_t i = 0; i < n.size(); ++i) codes[i] = f32_to_e4m3(n[i] * factor);
}

/// Rule 7. Returns the scale.
float quantize_dynamic_fp8(std::span<const float> n, std::uint8_t* codes) {
  constexpr float kFloor = 1.0F / (512.0F * 448.0F);
  const float scale = std::max(largest_magnitude(n) / 448.0F, kFloor);
  multiply_to_e4m3(n, 1.0F / scale, codes);
  return scale;
}

/// Rules 8 and 9 on one block. Returns the scale's code.
std::uint8_t quantize_nvfp4_block(std::span<const float> n, float output_scale,
                                  std::uint8_t* codes) {
  constexpr float kSixth = 1.0F / 6.0F;
  std::uint8_t sf = f32_to_e4m3(output_scale * (largest_magnitude(n) * kSixth));
  if (std::any_of(n.begin(), n.end(), is_nan)) sf = kNanE4m3;
  const float scale = e4m3_to_f32(sf);
  const float m = scale == 0.0F ? 0.0F : output_scale / scale;
  for (std::size_t i = 0; i < n.size(); i += 2) {
    const int low = f32_to_e2m1(n[i] * m);
    const int high = f32_to_e2m1(n[i + 1] * m);
    codes[i / 2] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return sf;
}

/// The rows of one call, one at a time; each thread has one of these.
class RowRunner {
 public:
  RowRunner(const Call& call, std::span<const void* const> inputs, const void* residual,
            const void* gamma, Outputs& outputs)
      : call_(call),
        inputs_(inputs),
        residual_(residual),
        outputs_(outputs),
        hidden_(static_cast<std::size_t>(call.hidden_dim)),
        row_(hidden_),
        other_(hidden_),
        weight_(call.fused ? hidden_ : 0) {
    if (!call.fused) return;
    widen(call.gamma_dtype, gamma, 0, weight_);
    for (float& weight : weight_) weight += call.weight_bias;
  }

  void run(std::int64_t token) {
    const std::size_t first = static_cast<std::size_t>(token) * hidden_;
    reduce(first);
    if (!call_.fused) {
      narrow(call_.dtype, row_, outputs_.output.data(), first);
      return;
    }
    // Rounding to T goes through the output buffers: what is computed with is what is stored.
    round_through(outputs_.output, first);
    widen(call_.dtype, residual_, first, other_);
    for (std::size_t i = 0; i < hidden_; ++i) row_[i] += other_[i];  // rule 2
    round_through(outputs_.residual_out, first);
    normalise();
    round_through(outputs_.output, first);
    quantize(token, first);
  }

 private:
  /// Rule 1, before it is rounded to T.
  void reduce(std::size_t first) {
    std::fill(row_.begin(), row_.end(), 0.0F);
    for (const void* input : inputs_) {
      widen(call_.dtype, input, first, other_);
      for (std::size_t i = 0; i < hidden_; ++i) row_[i] += other_[i];
    }
  }

  void round_through(std::vector<std::uint8_t>& buffer, std::size_t first) {
    narrow(call_.dtype, row_, buffer.data(), first);
    widen(call_.dtype, buffer.data(), first, row_);
  }

  /// Rules 3, 4 and 5, before rounding to T.
  void normalise() {
    const float q = sum_of_squares(call_.dtype, row_);
    const float mean = q / static_cast<float>(call_.hidden_dim);
    const float r = rsqrt_rn(mean + call_.epsilon);
    for (std::size_t i = 0; i < hidden_; ++i) row_[i] = (row_[i] * r) * weight_[i];
  }

  /// Rules 6, 7 and 8.
  void quantize(std::int64_t token, std::size_t first) {
    std::uint8_t* const codes = outputs_.quant_out.data();
    std::uint8_t* const scales = outputs_.scale_out.data();
    switch (call_.quant) {
      case Quant::kNone:
        return;
      case Quant::kFp8:
        return multiply_to_e4m3(row_, 1.0F / call_.output_scale, codes + first);
      case Quant::kDynamicFp8: {
        const float scale = quantize_dynamic_fp8(row_, codes + first);
        return store(scales, static_cast<std::size_t>(token), stored_bits(scale));
      }
      case Quant::kNvfp4:
        for (std::size_t column = 0; column < hidden_; column += kBlock) {
          const int block = static_cast<int>(column / kBlock);
          scales[scale_offset(call_.layout, call_.hidden_dim, token, block)] =
              quantize_nvfp4_block(std::span(row_).subspan(column, kBlock), call_.output_scale,
                                   codes + (first + column) / 2);
        }
    }
  }

  const Call& call_;
  std::span<const void* const> inputs_;
  const void* residual_;
  Outputs& outputs_;
  std::size_t hidden_;
  std::vector<float> row_;
  std::vector<float> other_;
  std::vector<float> weight_;  // gamma + weight_bias
};

void check(const Call& call, std::size_t inputs) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
  };
  const bool is_t = call.dtype <= DataType::kBF16;
  require(is_t, "dtype must be f32, f16 or bf16");
  require(inputs == static_cast<std::size_t>(call.world_size), "one input per rank");
  require(call.tokens >= 0, "tokens must not be negative");
  require(call.hidden_dim > 0 && call.hidden_dim % static_cast<int>(16 / size_of(call.dtype)) == 0,
          "hidden_dim must be whole vectors of 16 bytes");
  if (!call.fused) return require(call.quant == Quant::kNone, "an all-reduce does not quantize");
  require(call.gamma_dtype == call.dtype || call.gamma_dtype == DataType::kF32, "gamma: T or f32");
  require(call.epsilon >= 0.0F, "epsilon must not be negative");
  if (call.quant != Quant::kNvfp4) return;
  require(call.hidden_dim % 16 == 0, "hidden_dim must be whole blocks of 16");
  require(call.layout != ScaleLayout::kSwizzled8x4, "swizzled_8x4 is not supported");
}

Outputs make_outputs(const Call& call, std::uint8_t poison) {
  const std::size_t elements =
      static_cast<std::size_t>(call.tokens) * static_cast<std::size_t>(call.hidden_dim);
  Outputs outputs;
  outputs.output.resize(elements * size_of(call.dtype));
  if (call.fused) outputs.residual_out.resize(elements * size_of(call.dtype));
  if (call.quant == Quant::kFp8) outputs.quant_out.resize(elements);
  if (call.quant == Quant::kDynamicFp8) {
    outputs.quant_out.resize(elements);
    outputs.scale_out.resize(static_cast<std::size_t>(call.tokens) * sizeof(float));
  }
  if (call.quant == Quant::kNvfp4) {
    outputs.quant_out.resize(elements / 2);
    outputs.scale_out.resize(nvfp4_scale_bytes(call.tokens, call.hidden_dim, call.layout),
                             call.zero_scale_padding ? std::uint8_t{0} : poison);
  }
  return outputs;
}

}  // namespace

float default_epsilon(DataType dtype) {
  switch (dtype) {
    case DataType::kF32:
      return 0x1p-23F;
    case DataType::kF16:
      return 0x1p-10F;
    case DataType::kBF16:
      return 0x1p-7F;
    default:
      throw std::invalid_argument("dtype must be f32, f16 or bf16");
  }
}

float sum_of_squares(DataType dtype, std::span<const float> row) {
  const std::size_t per_vector = 16 / size_of(dtype);
  const std::size_t per_chunk = per_vector * kLanes;
  Lanes row_lanes{};
  for (std::size_t chunk = 0; chunk * per_chunk < row.size(); ++chunk) {
    Lanes vectors{};  // missing vectors stay +0
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::size_t begin = chunk * per_chunk + lane * per_vector;
      const std::size_t end = std::min(begin + per_vector, row.size());
      for (std::size_t j = begin; j < end; ++j) {
        vectors[lane] = std::fma(row[j], row[j], vectors[lane]);
      }
    }
    row_lanes[chunk % kLanes] += butterfly(vectors);
  }
  return butterfly(row_lanes);
}

std::size_t scale_offset(ScaleLayout layout, int hidden_dim, std::int64_t row, int block) {
  const auto m = static_cast<std::size_t>(row);
  const auto k = static_cast<std::size_t>(block);
  const auto hidden = static_cast<std::size_t>(hidden_dim);
  if (layout == ScaleLayout::kLinear) return m * (hidden / 16) + k;
  const std::size_t tiles = (hidden + 63) / 64;  // of 4 blocks each
  return (m / 128) * tiles * 512 + (k / 4) * 512 + (m % 32) * 16 + ((m % 128) / 32) * 4 + k % 4;
}

Outputs run(const Call& call, std::span<const void* const> inputs, const void* residual,
            const void* gamma, std::uint8_t poison, int threads) {
  check(call, inputs.size());
  Outputs outputs = make_outputs(call, poison);
  const auto run_every = [&](std::int64_t first, std::int64_t step) {
    RowRunner runner(call, inputs, residual, gamma, outputs);
    for (std::int64_t token = first; token < call.tokens; token += step) runner.run(token);
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(run_every, i, threads);
  run_every(0, threads < 1 ? 1 : threads);
  others.clear();  // joins
  return outputs;
}

}  // namespace allnorm::reference
