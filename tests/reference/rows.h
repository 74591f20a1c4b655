// A row between memory and f32: how the reference reads and writes the contract's three dtypes.
#ifndef ALLNORM_TESTS_REFERENCE_ROWS_H_
#define ALLNORM_TESTS_REFERENCE_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "allnorm/types.h"
#include "reference/numbers.h"

namespace allnorm::reference {

template <typename Word>
Word load(const void* data, std::size_t index) {
  Word word;
  std::memcpy(&word, static_cast<const std::uint8_t*>(data) + index * sizeof(Word), sizeof(Word));
  return word;
}

template <typename Word>
void store(void* data, std::size_t index, Word word) {
  std::memcpy(static_cast<std::uint8_t*>(data) + index * sizeof(Word), &word, sizeof(Word));
}

/// Reads row.size() elements, from element `first` of `data` on; exact.
inline void widen(DataType dtype, const void* data, std::size_t first, std::span<float> row) {
  switch (dtype) {
    case DataType::kF16:
      for (std::size_t i = 0; i < row.size(); ++i) {
        row[i] = f16_to_f32(load<std::uint16_t>(data, first + i));
      }
      break;
    case DataType::kBF16:
      for (std::size_t i = 0; i < row.size(); ++i) {
        row[i] = bf16_to_f32(load<std::uint16_t>(data, first + i));
      }
      break;
    default:
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = load<float>(data, first + i);
  }
}

/// RN_T and the store in one: rounds to dtype, with canonical NaNs, and writes from `first` on.
inline void narrow(DataType dtype, std::span<const float> row, void* data, std::size_t first) {
  switch (dtype) {
    case DataType::kF16:
      for (std::size_t i = 0; i < row.size(); ++i) store(data, first + i, f32_to_f16(row[i]));
      break;
    case DataType::kBF16:
      for (std::size_t i = 0; i < row.size(); ++i) store(data, first + i, f32_to_bf16(row[i]));
      break;
    default:
      for (std::size_t i = 0; i < row.size(); ++i) store(data, first + i, stored_bits(row[i]));
  }
}

}  // namespace allnorm::reference

#endif  // ALLNORM_TESTS_REFERENCE_ROWS_H_
