// The numerics contract in plain scalar C++: what every kernel, on every rank, must give to the
// bit.
//
// Written from the contract and not from the kernels: rule numbers in reference.cc are its rules.
// All ranks have the same result, so one run stands for all of them. Tests compare bytes with it.
//
// Build it with -ffp-contract=off and without -march flags: every operation is rounded on its own,
// and only the `fma` that the contract writes is one. Thread safety: no state; calls are
// independent.
#ifndef ALLNORM_TESTS_REFERENCE_REFERENCE_H_
#define ALLNORM_TESTS_REFERENCE_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "allnorm/types.h"

namespace allnorm::reference {

struct Call {
  int world_size = 1;
  std::int64_t tokens = 0;
  int hidden_dim = 0;
  DataType dtype = DataType::kBF16;
  DataType gamma_dtype = DataType::kBF16;  ///< dtype or f32.
  Quant quant = Quant::kNone;
  ScaleLayout layout = ScaleLayout::kLinear;  ///< Of NVFP4's scales.
  bool fused = true;                          ///< false: plain all-reduce, `output` is the sum.
  float epsilon = 0.0F;                       ///< Resolved: see default_epsilon().
  float output_scale = 1.0F;
  float weight_bias = 0.0F;
  bool zero_scale_padding = false;
};

/// Dense row-major buffers as bytes; what the call does not produce is empty.
struct Outputs {
  std::vector<std::uint8_t> output;        ///< [tokens, hidden] of dtype.
  std::vector<std::uint8_t> residual_out;  ///< The same; empty for the plain all-reduce.
  std::vector<std::uint8_t> quant_out;  ///< [tokens, hidden] e4m3, or [tokens, hidden / 2] e2m1x2.
  std::vector<std::uint8_t> scale_out;  ///< NVFP4: the layout's buffer. Dynamic FP8: a f32 a token.
};

/// The result of the call on every rank. `inputs` holds a [tokens, hidden] matrix of dtype per
/// rank. `residual` and `gamma` are read only if fused. Bytes of scale padding that the call does
/// not write keep `poison`, which tests fill their buffers with beforehand. Throws
/// std::invalid_argument where the contract's preconditions on sizes and dtypes do not hold.
Outputs run(const Call& call, std::span<const void* const> inputs, const void* residual,
            const void* gamma, std::uint8_t poison, int threads = 1);

/// The machine epsilon of the dtype: 2^-23 (f32), 2^-10 (f16), 2^-7 (bf16).
float default_epsilon(DataType dtype);

/// Rule 3: the row's sum of squares, in the order that vectors of 16 bytes of dtype prescribe.
float sum_of_squares(DataType dtype, std::span<const float> row);

/// Where the scale of a block of 16 columns lies in scale_out.
std::size_t scale_offset(ScaleLayout layout, int hidden_dim, std::int64_t row, int block);

}  // namespace allnorm::reference

#endif  // ALLNORM_TESTS_REFERENCE_REFERENCE_H_
