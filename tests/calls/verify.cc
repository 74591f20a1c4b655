#include "calls/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "calls/parallel.h"

namespace allnorm::calls {
namespace {

constexpr std::size_t kReported = 5;
constexpr std::int64_t kElementsPerTask = 1 << 17;

/// Rows of a case. The whole-buffer checks go with the task that has row 0.
struct Task {
  std::size_t index = 0;
  std::int64_t first = 0;
  std::int64_t end = 0;
};

std::vector<std::uint8_t> filled(const Case& c, reference::Pattern pattern, DataType dtype, std::uint64_t seed,
                                 int rank, std::int64_t rows, std::int64_t first_row) {
  std::vector<std::uint8_t> data(static_cast<std::size_t>(rows) * static_cast<std::size_t>(c.hidden_dim) *
                                 size_of(dtype));
  reference::fill(pattern, dtype, seed, rank, data.data(), rows, c.hidden_dim, first_row);
  return data;
}

/// The reference on rows [first, end) of a case, scales in the layout that is asked for.
reference::Outputs run_reference(const Case& c, std::uint64_t seed, std::int64_t first, std::int64_t end,
                                 ScaleLayout layout) {
  reference::Call call = reference_call(c);
  call.tokens = end - first;
  call.layout = layout;
  std::vector<std::vector<std::uint8_t>> inputs;
  std::vector<const void*> pointers;
  for (int rank = 0; rank < c.world_size; ++rank) {
    inputs.push_back(filled(c, c.pattern, c.dtype, seed, rank, call.tokens, c.first_row + first));
    pointers.push_back(inputs.back().data());
  }
  std::vector<std::uint8_t> residual;
  std::vector<std::uint8_t> gamma;
  if (!c.allreduce_only) {
    residual = filled(c, c.pattern, c.dtype, seed, reference::kResidualRank, call.tokens, c.first_row + first);
    gamma = filled(c, c.gamma_pattern, c.gamma_dtype, c.seed, reference::kGammaRank, 1, 0);
  }
  return reference::run(call, pointers, residual.data(), gamma.data(), kPoison);
}

/// Collects the mismatches of one task.
class Comparison {
 public:
  /// Rows of a dense tensor. `got` is the tensor's first byte.
  void rows(const char* tensor, int rank, const std::uint8_t* got, const std::vector<std::uint8_t>& expected,
            std::int64_t first_row, std::int64_t row_count, std::size_t element_bytes) {
    const std::size_t row_bytes = expected.size() / static_cast<std::size_t>(row_count);
    got += static_cast<std::size_t>(first_row) * row_bytes;
    if (std::memcmp(got, expected.data(), expected.size()) == 0) return;
    for (std::size_t i = 0; i < expected.size(); i += element_bytes) {
      if (std::memcmp(got + i, expected.data() + i, element_bytes) == 0) continue;
      const std::size_t row = static_cast<std::size_t>(first_row) + i / row_bytes;
      note(tensor, rank, fmt::format("row {} column {}", row, i % row_bytes / element_bytes),
           hex(got + i, element_bytes), hex(expected.data() + i, element_bytes));
    }
  }

  void byte(const char* tensor, int rank, const std::string& where, std::uint8_t got, std::uint8_t expected) {
    if (got != expected) note(tensor, rank, where, hex(&got, 1), hex(&expected, 1));
  }

  void guard(const char* tensor, int rank, const std::uint8_t* image, const Piece& piece) {
    if (piece.bytes == 0) return;
    for (std::size_t i = piece.end(); i < piece.guard_end(); ++i) {
      if (image[i] == kPoison) continue;
      byte(tensor, rank, fmt::format("byte {} after its end", i - piece.end()), image[i], kPoison);
    }
  }

  std::uint64_t mismatches() const noexcept { return mismatches_; }
  const std::vector<std::string>& first() const noexcept { return first_; }

 private:
  /// As one number, the highest byte first.
  static std::string hex(const std::uint8_t* bytes, std::size_t count) {
    std::string text;
    for (std::size_t i = count; i-- > 0;) text += fmt::format("{:02x}", bytes[i]);
    return text;
  }

  void note(const char* tensor, int rank, const std::string& where, const std::string& got,
            const std::string& expected) {
    if (++mismatches_ > kReported) return;
    first_.push_back(fmt::format("rank {} {} {}: got {}, expected {}", rank, tensor, where, got, expected));
  }

  std::uint64_t mismatches_ = 0;
  std::vector<std::string> first_;
};

void compare_scales(const Case& c, const Task& task, int rank, const std::uint8_t* got,
                    const std::vector<std::uint8_t>& linear, Comparison& comparison) {
  const auto blocks = static_cast<std::size_t>(c.hidden_dim / 16);
  for (std::int64_t row = task.first; row < task.end; ++row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::size_t at = reference::scale_offset(c.layout, c.hidden_dim, row, static_cast<int>(block));
      const std::uint8_t expected = linear[static_cast<std::size_t>(row - task.first) * blocks + block];
      if (got[at] == expected) continue;
      comparison.byte("scale_out", rank, fmt::format("row {} block {}", row, block), got[at], expected);
    }
  }
}

/// Every byte of a swizzled buffer that no block has: poison still, or zero if that was asked for.
void compare_padding(const Case& c, int rank, const std::uint8_t* got, std::size_t bytes, Comparison& comparison) {
  std::vector<bool> is_scale(bytes, false);
  for (std::int64_t row = 0; row < c.tokens; ++row) {
    for (int block = 0; block < c.hidden_dim / 16; ++block) {
      is_scale[reference::scale_offset(c.layout, c.hidden_dim, row, block)] = true;
    }
  }
  const std::uint8_t expected = c.zero_scale_padding ? 0 : kPoison;
  for (std::size_t i = 0; i < bytes; ++i) {
    if (is_scale[i] || got[i] == expected) continue;
    comparison.byte("scale_out", rank, fmt::format("padding byte {}", i), got[i], expected);
  }
}

void run_task(const Case& c, const Placement& p, const Task& task, std::span<const std::uint8_t* const> images,
              Comparison& comparison) {
  const reference::Outputs expected = run_reference(c, c.seed, task.first, task.end, ScaleLayout::kLinear);
  const std::int64_t count = task.end - task.first;
  for (int rank = 0; rank < static_cast<int>(images.size()); ++rank) {
    const std::uint8_t* const image = images[static_cast<std::size_t>(rank)];
    const auto rows = [&](const char* tensor, const Piece& piece, const std::vector<std::uint8_t>& bytes,
                          std::size_t element_bytes) {
      if (piece.bytes == 0) return;
      comparison.rows(tensor, rank, image + piece.offset, bytes, task.first, count, element_bytes);
    };
    rows("residual_out", p.residual_out, expected.residual_out, size_of(c.dtype));
    rows("output", p.output, expected.output, size_of(c.dtype));
    rows("quant_out", p.quant_out, expected.quant_out, 1);
    if (c.quant == Quant::kDynamicFp8) rows("scale_out", p.scale_out, expected.scale_out, sizeof(float));
    if (c.quant == Quant::kNvfp4) {
      compare_scales(c, task, rank, image + p.scale_out.offset, expected.scale_out, comparison);
    }
    if (task.first != 0) continue;
    comparison.guard("output", rank, image, p.output);
    comparison.guard("residual_out", rank, image, p.residual_out);
    comparison.guard("quant_out", rank, image, p.quant_out);
    comparison.guard("scale_out", rank, image, p.scale_out);
    if (c.quant == Quant::kNvfp4 && c.layout != ScaleLayout::kLinear) {
      compare_padding(c, rank, image + p.scale_out.offset, p.scale_out.bytes, comparison);
    }
  }
}

}  // namespace

std::string describe(const Failure& failure) {
  std::string text = fmt::format("{}: {} mismatches", describe(failure.failed), failure.mismatches);
  for (const std::string& line : failure.first) text += "\n    " + line;
  return text;
}

std::vector<Failure> verify(std::span<const Case> cases, std::span<const Placement> placements,
                            std::span<const std::uint8_t* const> images) {
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::int64_t step = std::max<std::int64_t>(1, kElementsPerTask / cases[i].hidden_dim);
    for (std::int64_t row = 0; row < cases[i].tokens; row += step) {
      tasks.push_back({i, row, std::min(row + step, cases[i].tokens)});
    }
  }
  std::mutex mutex;
  std::map<std::size_t, Failure> failures;
  parallel_for(tasks.size(), host_threads(), [&](std::size_t i, unsigned) {
    const Task& task = tasks[i];
    const Case& c = cases[task.index];
    Comparison comparison;
    run_task(c, placements[task.index], task, images, comparison);
    if (comparison.mismatches() == 0) return;
    const std::lock_guard lock(mutex);
    Failure& failure = failures[task.index];
    failure.failed = c;
    failure.mismatches += comparison.mismatches();
    for (const std::string& line : comparison.first()) {
      if (failure.first.size() < kReported) failure.first.push_back(line);
    }
  });
  std::vector<Failure> result;
  for (auto& [index, failure] : failures) result.push_back(std::move(failure));
  return result;
}

std::vector<std::uint8_t> expected_outputs(const Case& c, const Placement& p, std::uint64_t seed) {
  std::vector<std::uint8_t> image(p.outputs.bytes, kPoison);
  if (c.tokens == 0) return image;
  const reference::Outputs expected = run_reference(c, seed, 0, c.tokens, c.layout);
  const auto put = [&](const Piece& piece, const std::vector<std::uint8_t>& bytes) {
    if (piece.bytes > 0) std::copy(bytes.begin(), bytes.end(), image.data() + (piece.offset - p.outputs.offset));
  };
  put(p.output, expected.output);
  put(p.residual_out, expected.residual_out);
  put(p.quant_out, expected.quant_out);
  put(p.scale_out, expected.scale_out);
  return image;
}

}  // namespace allnorm::calls
