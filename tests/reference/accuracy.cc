// How accurate the contract is: its results against the same call in fp64.
//
// The contract rounds to the dtype after the sum, after the residual and after the norm, and
// computes in f32 between. Here everything is double, and only the end is rounded. Two tables: the
// whole call, from the inputs on; and the norm and the quantization alone, from the residual_out
// that the contract stored, which leaves out the roundings to the dtype that any implementation
// with such tensors has.
//
//   accuracy [tokens]     prints the tables of docs/measurements/accuracy.md
//   hand)
//
// An error in ulps is the distance to the unrounded fp64 value, in units of the last place of the
// dtype there: rounding perfectly gives 0.25 on average and 0.5 at most.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "reference/numbers.h"
#include "reference/patterns.h"
#include "reference/reference.h"
#include "reference/rows.h"

namespace allnorm::reference {
namespace {

constexpr float kFp8Scale = 0.01F;
constexpr float kNvfp4Scale = 100.0F;

/// x as an f32 rounded to odd: rounding that to a narrower format equals rounding x itself.
float to_odd_f32(double x) {
  const auto nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) == x || (bits_of(nearest) & 1) != 0) return nearest;
  const bool nearest_is_larger = std::fabs(static_cast<double>(nearest)) > std::fabs(x);
  return float_of(nearest_is_larger ? bits_of(nearest) - 1 : bits_of(nearest) + 1);
}

double ulp(DataType dtype, double x) {
  const int mantissa = dtype == DataType::kF32 ? 23 : dtype == DataType::kF16 ? 10 : 7;
  const int smallest = dtype == DataType::kF16 ? -14 : -126;
  return std::ldexp(1.0, std::max(x == 0.0 ? smallest : std::ilogb(x), smallest) - mantissa);
}

struct Case {
  DataType dtype;
  int world;
  int hidden;
  std::int64_t tokens;
  std::vector<std::vector<std::uint8_t>> inputs;
  std::vector<std::uint8_t> residual;
  std::vector<std::uint8_t> gamma;
};

Case make_case(DataType dtype, int world, int hidden, std::int64_t tokens) {
  Case c{dtype, world, hidden, tokens, {}, {}, {}};
  const auto random = [&](int rank, std::int64_t rows) {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(rows * hidden) * size_of(dtype));
    fill(Pattern::kRandom, dtype, 1, rank, bytes.data(), rows, hidden);
    return bytes;
  };
  for (int rank = 0; rank < world; ++rank) c.inputs.push_back(random(rank, tokens));
  c.residual = random(kResidualRank, tokens);
  c.gamma = random(kGammaRank, 1);
  return c;
}

Outputs contract(const Case& c, Quant quant) {
  std::vector<const void*> inputs;
  for (const auto& input : c.inputs) inputs.push_back(input.data());
  Call call{.world_size = c.world, .tokens = c.tokens, .hidden_dim = c.hidden, .dtype = c.dtype};
  call.gamma_dtype = c.dtype;
  call.quant = quant;
  call.epsilon = default_epsilon(c.dtype);
  call.output_scale = quant == Quant::kNvfp4 ? kNvfp4Scale : kFp8Scale;
  return run(call, inputs, c.residual.data(), c.gamma.data(), 0);
}

std::vector<double> widened(DataType dtype, const std::vector<std::uint8_t>& bytes) {
  std::vector<float> row(bytes.size() / size_of(dtype));
  widen(dtype, bytes.data(), 0, row);
  return {row.begin(), row.end()};
}

/// The normalised rows in fp64, from the inputs or from a stored residual_out.
std::vector<double> normalised(const Case& c, const std::vector<std::uint8_t>* residual_out) {
  std::vector<double> h = widened(c.dtype, residual_out != nullptr ? *residual_out : c.residual);
  if (residual_out == nullptr) {
    for (const auto& input : c.inputs) {
      const std::vector<double> x = widened(c.dtype, input);
      for (std::size_t i = 0; i < h.size(); ++i) h[i] += x[i];
    }
  }
  const std::vector<double> gamma = widened(c.dtype, c.gamma);
  for (auto row = h.begin(); row != h.end(); row += c.hidden) {
    double q = 0;
    for (int i = 0; i < c.hidden; ++i) q += row[i] * row[i];
    const double r = 1.0 / std::sqrt(q / c.hidden + static_cast<double>(default_epsilon(c.dtype)));
    for (int i = 0; i < c.hidden; ++i) row[i] *= r * gamma[static_cast<std::size_t>(i)];
  }
  return h;
}

double largest(std::span<const double> n) {
  double amax = 0;
  for (const double x : n) amax = std::max(amax, std::fabs(x));
  return amax;
}

/// Two counts: what differs, of how many.
struct Share {
  std::uint64_t differ = 0, of = 0;
  void add(bool differs) { differ += differs ? 1 : 0, ++of; }
  double percent() const { return 100.0 * static_cast<double>(differ) / static_cast<double>(of); }
};

struct Errors {
  double max = 0, mean = 0, p99 = 0;
  Share fp8, dynamic_fp8, nvfp4, nvfp4_scales;
  double dynamic_scale = 0;  // the largest relative error of a scale
};

void measure_output(const Case& c, const Outputs& outputs, const std::vector<double>& n,
                    Errors& e) {
  const std::vector<double> ours = widened(c.dtype, outputs.output);
  std::vector<double> ulps(n.size());
  for (std::size_t i = 0; i < n.size(); ++i) {
    ulps[i] = std::fabs(ours[i] - n[i]) / ulp(c.dtype, n[i]);
    e.mean += ulps[i] / static_cast<double>(n.size());
    e.max = std::max(e.max, ulps[i]);
  }
  const auto p99 = ulps.begin() + static_cast<std::ptrdiff_t>(ulps.size() * 99 / 100);
  std::nth_element(ulps.begin(), p99, ulps.end());
  e.p99 = *p99;
}

void measure_fp8(const Case& c, const std::vector<double>& n, Errors& e) {
  const Outputs fixed = contract(c, Quant::kFp8);
  const Outputs dynamic = contract(c, Quant::kDynamicFp8);
  const auto hidden = static_cast<std::size_t>(c.hidden);
  for (std::size_t i = 0; i < n.size(); i += hidden) {
    const double scale =
        std::max(largest(std::span(n).subspan(i, hidden)) / 448.0, 1.0 / (512.0 * 448.0));
    const double ours = load<float>(dynamic.scale_out.data(), i / hidden);
    e.dynamic_scale = std::max(e.dynamic_scale, std::fabs(ours - scale) / scale);
    for (std::size_t j = i; j < i + hidden; ++j) {
      const auto code = [](double x) { return f32_to_e4m3(to_odd_f32(x)); };
      e.fp8.add(fixed.quant_out[j] != code(n[j] / static_cast<double>(kFp8Scale)));
      e.dynamic_fp8.add(dynamic.quant_out[j] != code(n[j] / scale));
    }
  }
}

void measure_nvfp4(const Case& c, const std::vector<double>& n, Errors& e) {
  const Outputs ours = contract(c, Quant::kNvfp4);
  for (std::size_t i = 0; i < n.size(); i += 16) {
    const double amax = largest(std::span(n).subspan(i, 16));
    const std::uint8_t sf = f32_to_e4m3(to_odd_f32(kNvfp4Scale * amax / 6.0));
    e.nvfp4_scales.add(ours.scale_out[i / 16] != sf);
    const double m = sf == 0 ? 0.0 : static_cast<double>(kNvfp4Scale) / e4m3_to_f32(sf);
    for (std::size_t j = i; j < i + 16; ++j) {
      const int code = ours.quant_out[j / 2] >> (j % 2 * 4) & 0xF;
      e.nvfp4.add(code != f32_to_e2m1(to_odd_f32(n[j] * m)));
    }
  }
}

void print_table(const char* title, bool from_residual, std::int64_t tokens) {
  std::printf("## %s\n\n", title);
  std::printf(
      "| dtype | world | hidden | max ulp | mean ulp | p99 ulp | FP8 codes | dynamic FP8 codes | ");
  std::printf("its scale, relative | NVFP4 codes | NVFP4 scales |\n");
  std::printf("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n");
  const char* const names[] = {"f32", "f16", "bf16"};
  for (const DataType dtype : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    for (const int world : {2, 8}) {
      for (const int hidden : {2880, 7168}) {
        const Case c = make_case(dtype, world, hidden, tokens);
        const Outputs plain = contract(c, Quant::kNone);
        const auto n = normalised(c, from_residual ? &plain.residual_out : nullptr);
        Errors e;
        measure_output(c, plain, n, e);
        measure_fp8(c, n, e);
        measure_nvfp4(c, n, e);
        std::printf(
            "| %s | %d | %d | %.3f | %.3f | %.3f | %.4f %% | %.4f %% | %.1e | %.4f %% | %.4f %% "
            "|\n",
            names[static_cast<int>(dtype)], world, hidden, e.max, e.mean, e.p99, e.fp8.percent(),
            e.dynamic_fp8.percent(), e.dynamic_scale, e.nvfp4.percent(), e.nvfp4_scales.percent());
      }
    }
  }
  std::printf("\n");
}

}  // namespace
}  // namespace allnorm::reference

int main(int argc, char** argv) {
  const int tokens = argc > 1 ? std::atoi(argv[1]) : 64;
  if (tokens < 1) return std::fprintf(stderr, "usage: accuracy [tokens]\n"), 2;
  allnorm::reference::print_table("The whole call", false, tokens);
  allnorm::reference::print_table("The norm and the quantization, from the stored residual_out",
                                  true, tokens);
  return 0;
}
