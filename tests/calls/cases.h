// What the equality tests try: every axis of the call, sampled from a seed.
//
// A Case says all of a call but its addresses. Its inputs follow from its seed, so that a line in a report and the seed
// make it again.
#ifndef ALLNORM_TESTS_CALLS_CASES_H_
#define ALLNORM_TESTS_CALLS_CASES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "allnorm/types.h"
#include "dispatch/spec.h"
#include "reference/patterns.h"
#include "reference/reference.h"

namespace allnorm::calls {

struct Case {
  std::uint32_t index = 0;
  std::uint64_t seed = 0;
  int world_size = 2;

  // What the kernel is specialised for.
  int hidden_dim = 0;
  DataType dtype = DataType::kBF16;
  DataType gamma_dtype = DataType::kBF16;
  bool allreduce_only = false;
  Quant quant = Quant::kNone;
  ScaleLayout layout = ScaleLayout::kLinear;
  Strategy strategy = Strategy::kOneShot;
  bool has_output = true;
  bool has_residual_out = true;
  bool zero_scale_padding = false;
  Pdl pdl = Pdl::kOff;

  // The rest of the call.
  std::int64_t tokens = 0;
  std::int64_t first_row = 0;  ///< Of the pattern's matrix: a token alone, or within a batch.
  reference::Pattern pattern = reference::Pattern::kRandom;
  reference::Pattern gamma_pattern = reference::Pattern::kRandom;
  float output_scale = 1.0F;
  bool scale_by_pointer = false;
  float weight_bias = 0.0F;
  std::optional<float> epsilon;
  bool output_in_place = false;    ///< output is input
  bool residual_in_place = false;  ///< residual_out is residual_in

  std::int64_t elements() const noexcept { return tokens * hidden_dim; }
};

/// One line.
std::string describe(const Case& c);
bool is_valid(const Case& c);
reference::Call reference_call(const Case& c);

struct SampleOptions {
  std::uint64_t seed = 0;
  int cases = 300;
  int world_size = 2;
  std::int64_t max_elements = std::int64_t{1} << 40;  ///< Larger cases are left out.
  bool with_pdl = true;
  /// Cases that share a kernel: compiling one takes longer than a hundred calls.
  int cases_per_kernel = 4;
  /// Empty: those that the design names.
  std::vector<int> hidden_dims;
  std::vector<std::int64_t> tokens;
};

/// Every (hidden_dim, tokens) that is allowed once, every value of every axis, then at random; cases of more than 4M
/// elements only once in 12 times after that. Neighbours in the result share nothing but by chance.
std::vector<Case> sample_cases(const SampleOptions& options);

/// Small calls with each output_scale that a pointer may hide: negative ones, zeros, infinities, NaN, the ends of f32.
std::vector<Case> extreme_scale_cases(int world_size);

/// How many different valid cases the axes make, seeds apart.
std::uint64_t full_product(bool with_pdl);

/// {"hidden_dim":{"8":12,...},...}: how often each value of each axis occurs.
std::string axis_counts_json(const std::vector<Case>& cases);

}  // namespace allnorm::calls

#endif  // ALLNORM_TESTS_CALLS_CASES_H_
