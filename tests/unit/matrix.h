// Matrices for the tests of the reference: from numbers to bytes of a dtype, and back to bits.
#ifndef ALLNORM_TESTS_UNIT_MATRIX_H_
#define ALLNORM_TESTS_UNIT_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "allnorm/types.h"
#include "reference/reference.h"
#include "reference/rows.h"

namespace allnorm::reference {

using Bytes = std::vector<std::uint8_t>;

/// The numbers rounded to dtype. (A NaN becomes the canonical one: use raw bits for others.)
inline Bytes matrix(DataType dtype, const std::vector<float>& values) {
  Bytes bytes(values.size() * size_of(dtype));
  narrow(dtype, values, bytes.data(), 0);
  return bytes;
}

inline Bytes f32s(const std::vector<float>& values) { return matrix(DataType::kF32, values); }

inline Bytes f32_bits(const std::vector<std::uint32_t>& words) {
  Bytes bytes(words.size() * sizeof(std::uint32_t));
  for (std::size_t i = 0; i < words.size(); ++i) store(bytes.data(), i, words[i]);
  return bytes;
}

inline float f32_at(const Bytes& bytes, std::size_t index) {
  return load<float>(bytes.data(), index);
}
inline std::uint32_t word_at(const Bytes& bytes, std::size_t index) {
  return load<std::uint32_t>(bytes.data(), index);
}
inline std::uint16_t half_at(const Bytes& bytes, std::size_t index) {
  return load<std::uint16_t>(bytes.data(), index);
}

/// run() on buffers that the test holds as bytes; the world is as large as `inputs`.
inline Outputs run(Call call, const std::vector<Bytes>& inputs, const Bytes& residual,
                   const Bytes& gamma, std::uint8_t poison = 0xAA, int threads = 1) {
  std::vector<const void*> pointers;
  for (const Bytes& input : inputs) pointers.push_back(input.data());
  call.world_size = static_cast<int>(inputs.size());
  return run(call, pointers, residual.data(), gamma.data(), poison, threads);
}

/// One row of f32, fused, without quantization, epsilon 0.
inline Call f32_row(int hidden_dim) {
  return {.tokens = 1,
          .hidden_dim = hidden_dim,
          .dtype = DataType::kF32,
          .gamma_dtype = DataType::kF32};
}

/// The plain all-reduce of one row.
inline Bytes sum(DataType dtype, const std::vector<Bytes>& inputs) {
  Call call{.tokens = 1, .dtype = dtype, .gamma_dtype = dtype, .fused = false};
  call.hidden_dim = static_cast<int>(inputs[0].size() / size_of(dtype));
  return run(call, inputs, {}, {}).output;
}

/// A call on f32 whose normalised row is `n` itself: the sum is all ones, epsilon 0, so r is 1. The
/// bias is -0, the one number that changes no weight when it is added (+0 turns a gamma of -0 into
/// +0).
inline Outputs quantize_row(Call call, const std::vector<float>& n, std::uint8_t poison = 0xAA) {
  call.tokens = 1;
  call.hidden_dim = static_cast<int>(n.size());
  call.dtype = call.gamma_dtype = DataType::kF32;
  call.weight_bias = -0.0F;
  const Bytes ones = matrix(DataType::kF32, std::vector<float>(n.size(), 1.0F));
  const Bytes zeros = matrix(DataType::kF32, std::vector<float>(n.size(), 0.0F));
  return run(call, {ones}, zeros, matrix(DataType::kF32, n), poison);
}

}  // namespace allnorm::reference

#endif  // ALLNORM_TESTS_UNIT_MATRIX_H_
