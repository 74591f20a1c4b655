#include "calls/cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <random>
#include <span>

namespace allnorm::calls {
namespace {

using reference::Pattern;

constexpr std::array kHiddenDims = {8, 16, 24, 256, 2880, 4096, 4544, 5120, 7168, 8192, 16384, 65536};
constexpr std::array<std::int64_t, 9> kTokens = {1, 2, 3, 7, 8, 33, 128, 500, 2048};
constexpr std::int64_t kBig = std::int64_t{4} << 20;
constexpr int kBigOneIn = 12;

struct Dtypes {
  DataType dtype, gamma;
};
constexpr std::array kDtypes = {Dtypes{DataType::kBF16, DataType::kBF16}, Dtypes{DataType::kBF16, DataType::kF32},
                                Dtypes{DataType::kF16, DataType::kF16}, Dtypes{DataType::kF16, DataType::kF32},
                                Dtypes{DataType::kF32, DataType::kF32}};

/// What the call is, and which outputs it has.
struct Mode {
  bool allreduce_only;
  Quant quant;
  ScaleLayout layout;
  bool zero_padding;
};
constexpr std::array kModes = {Mode{true, Quant::kNone, ScaleLayout::kLinear, false},
                               Mode{false, Quant::kNone, ScaleLayout::kLinear, false},
                               Mode{false, Quant::kFp8, ScaleLayout::kLinear, false},
                               Mode{false, Quant::kDynamicFp8, ScaleLayout::kLinear, false},
                               Mode{false, Quant::kNvfp4, ScaleLayout::kLinear, false},
                               Mode{false, Quant::kNvfp4, ScaleLayout::kSwizzled128x4, false},
                               Mode{false, Quant::kNvfp4, ScaleLayout::kSwizzled128x4, true}};
constexpr std::array kStrategies = {Strategy::kOneShot, Strategy::kTwoShot};
constexpr std::array kPdls = {Pdl::kOff, Pdl::kEarlyTrigger, Pdl::kLateTrigger};
constexpr std::array kPatterns = {Pattern::kRandom,      Pattern::kNegativeZeroSubnormal,
                                  Pattern::kInfinityNan, Pattern::kOverflowF16,
                                  Pattern::kTiny,        Pattern::kRawBits};
constexpr std::array kOutputScales = {1.0F, 0.0123F, 3.7F, 1344.0F, 1e-30F};
constexpr std::array kWeightBiases = {0.0F, 1.0F, -0.3F};
constexpr std::array<std::optional<float>, 4> kEpsilons = {std::nullopt, 1e-6F, 1e-5F, 0.0F};
constexpr std::array kBooleans = {false, true};

/// Values of an axis: first each in turn, so that all occur, then at random.
class Axes {
 public:
  explicit Axes(std::uint64_t seed) : random_(seed) {}

  template <typename Values>
  auto pick(const Values& values) {
    return values[random_() % std::size(values)];
  }
  template <typename Values>
  auto turn(const Values& values, std::size_t i) {
    return values[i % std::size(values)];
  }
  std::mt19937_64& random() { return random_; }

 private:
  std::mt19937_64 random_;
};

void set_kernel(Case& c, Axes& axes, bool with_pdl, std::optional<std::size_t> i) {
  const auto value = [&](const auto& values, std::size_t stride) {
    return i ? axes.turn(values, *i / stride + *i) : axes.pick(values);
  };
  const Dtypes dtypes = value(kDtypes, 7);
  const Mode mode = value(kModes, 5);
  c.dtype = dtypes.dtype;
  c.gamma_dtype = mode.allreduce_only ? dtypes.dtype : dtypes.gamma;
  c.allreduce_only = mode.allreduce_only;
  c.quant = mode.quant;
  c.layout = mode.layout;
  c.zero_scale_padding = mode.zero_padding;
  c.strategy = value(kStrategies, 3);
  c.has_output = c.quant == Quant::kNone || value(kBooleans, 2);
  c.has_residual_out = !c.allreduce_only && value(kBooleans, 4);
  c.pdl = with_pdl ? value(kPdls, 11) : Pdl::kOff;
}

void set_call(Case& c, Axes& axes) {
  c.seed = axes.random()();
  c.pattern = axes.pick(kPatterns);
  // Half of the gammas are tame, so that not everything saturates with them.
  c.gamma_pattern = axes.pick(kBooleans) ? c.pattern : Pattern::kRandom;
  c.output_scale = axes.pick(kOutputScales);
  c.scale_by_pointer = axes.pick(kBooleans) && (c.quant == Quant::kFp8 || c.quant == Quant::kNvfp4);
  c.weight_bias = axes.pick(kWeightBiases);
  c.epsilon = axes.pick(kEpsilons);
  c.output_in_place = c.has_output && axes.pick(kBooleans);
  c.residual_in_place = c.has_residual_out && axes.pick(kBooleans);
}

const char* to_string(Pdl pdl) { return pdl == Pdl::kOff ? "off" : pdl == Pdl::kEarlyTrigger ? "early" : "late"; }

/// Name and value of each axis.
std::map<std::string, std::string> axes_of(const Case& c) {
  const auto flag = [](bool on) { return std::string(on ? "yes" : "no"); };
  return {{"hidden_dim", std::to_string(c.hidden_dim)},
          {"tokens", std::to_string(c.tokens)},
          {"hidden_dim_and_tokens", fmt::format("{}x{}", c.hidden_dim, c.tokens)},
          {"dtype", allnorm::to_string(c.dtype)},
          {"gamma_dtype", allnorm::to_string(c.gamma_dtype)},
          {"operation", c.allreduce_only ? "allreduce" : "fused"},
          {"quant", allnorm::to_string(c.quant)},
          {"layout", c.quant == Quant::kNvfp4 ? allnorm::to_string(c.layout) : "-"},
          {"strategy", allnorm::to_string(c.strategy)},
          {"has_output", flag(c.has_output)},
          {"has_residual_out", flag(c.has_residual_out)},
          {"zero_scale_padding", flag(c.zero_scale_padding)},
          {"pdl", to_string(c.pdl)},
          {"pattern", reference::to_string(c.pattern)},
          {"output_scale", fmt::format("{}{}", c.output_scale, c.scale_by_pointer ? " by pointer" : "")},
          {"weight_bias", fmt::format("{}", c.weight_bias)},
          {"epsilon", c.epsilon ? fmt::format("{}", *c.epsilon) : "default"},
          {"output_in_place", flag(c.output_in_place)},
          {"residual_in_place", flag(c.residual_in_place)},
          {"world_size", std::to_string(c.world_size)}};
}

}  // namespace

std::string describe(const Case& c) {
  std::string line = fmt::format("case {} seed {:#x}", c.index, c.seed);
  for (const auto& [name, value] : axes_of(c)) {
    if (name != "hidden_dim_and_tokens") line += fmt::format(" {}={}", name, value);
  }
  return line + fmt::format(" gamma_pattern={} first_row={}", reference::to_string(c.gamma_pattern), c.first_row);
}

bool is_valid(const Case& c) {
  if (c.hidden_dim % static_cast<int>(16 / size_of(c.dtype)) != 0) return false;
  return c.quant != Quant::kNvfp4 || c.hidden_dim % 16 == 0;
}

reference::Call reference_call(const Case& c) {
  reference::Call call;
  call.world_size = c.world_size;
  call.tokens = c.tokens;
  call.hidden_dim = c.hidden_dim;
  call.dtype = c.dtype;
  call.gamma_dtype = c.gamma_dtype;
  call.quant = c.quant;
  call.layout = c.layout;
  call.fused = !c.allreduce_only;
  call.epsilon = c.epsilon.value_or(reference::default_epsilon(c.dtype));
  call.output_scale = c.output_scale;
  call.weight_bias = c.weight_bias;
  call.zero_scale_padding = c.zero_scale_padding;
  return call;
}

std::vector<Case> sample_cases(const SampleOptions& options) {
  Axes axes(options.seed);
  std::vector<Case> cases;
  const auto add = [&](const Case& kernel, std::int64_t tokens) {
    Case c = kernel;
    c.tokens = tokens;
    set_call(c, axes);
    cases.push_back(c);
  };
  const auto fits = [&](int hidden, std::int64_t tokens) { return hidden * tokens <= options.max_elements; };
  std::vector<int> hidden_dims = options.hidden_dims;
  if (hidden_dims.empty()) hidden_dims.assign(kHiddenDims.begin(), kHiddenDims.end());
  std::vector<std::int64_t> token_counts = options.tokens;
  if (token_counts.empty()) token_counts.assign(kTokens.begin(), kTokens.end());
  Case base;
  base.world_size = options.world_size;

  std::size_t turn = axes.random()() % 1000;
  for (const int hidden : hidden_dims) {
    for (const std::int64_t tokens : token_counts) {
      if (!fits(hidden, tokens)) continue;
      base.hidden_dim = hidden;
      do set_kernel(base, axes, options.with_pdl, turn++);
      while (!is_valid(base));
      add(base, tokens);
    }
  }
  const auto wanted = static_cast<std::size_t>(std::max(options.cases, 1));
  while (cases.size() < wanted) {
    base.hidden_dim = axes.pick(hidden_dims);
    do set_kernel(base, axes, options.with_pdl, std::nullopt);
    while (!is_valid(base));
    for (int i = 0; i < options.cases_per_kernel && cases.size() < wanted; ++i) {
      const std::int64_t tokens = axes.pick(token_counts);
      if (!fits(base.hidden_dim, tokens)) continue;
      if (base.hidden_dim * tokens > kBig && axes.random()() % kBigOneIn != 0) continue;
      add(base, tokens);
    }
  }
  std::shuffle(cases.begin(), cases.end(), axes.random());
  if (cases.size() > wanted) cases.resize(wanted);  // fewer were asked for than there are pairs
  for (std::size_t i = 0; i < cases.size(); ++i) cases[i].index = static_cast<std::uint32_t>(i);
  return cases;
}

std::vector<Case> extreme_scale_cases(int world_size) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Case> cases;
  for (const DataType dtype : {DataType::kBF16, DataType::kF16, DataType::kF32}) {
    for (const Quant quant : {Quant::kNvfp4, Quant::kFp8}) {
      for (const Pattern pattern : {Pattern::kRandom, Pattern::kInfinityNan, Pattern::kNegativeZeroSubnormal}) {
        for (const float scale : {-2.0F, 0.0F, -0.0F, kInfinity, -kInfinity, kNan, 1e-45F, 3e38F}) {
          Case c;
          c.index = static_cast<std::uint32_t>(cases.size());
          c.seed = c.index + 7;
          c.world_size = world_size;
          c.hidden_dim = 256;
          c.tokens = 3;
          c.dtype = c.gamma_dtype = dtype;
          c.quant = quant;
          c.pattern = pattern;
          c.output_scale = scale;
          c.scale_by_pointer = true;
          cases.push_back(c);
        }
      }
    }
  }
  return cases;
}

std::uint64_t full_product(bool with_pdl) {
  std::uint64_t product = 0;
  for (const int hidden : kHiddenDims) {
    for (const Dtypes& dtypes : kDtypes) {
      for (const Mode& mode : kModes) {
        Case c;
        c.hidden_dim = hidden;
        c.dtype = dtypes.dtype;
        c.quant = mode.quant;
        if (!is_valid(c) || (mode.allreduce_only && dtypes.dtype != dtypes.gamma)) continue;
        // Outputs: not there, apart, in place. An all-reduce has an output, and neither norm nor scale.
        std::uint64_t calls = kTokens.size() * kStrategies.size() * kPatterns.size() * (with_pdl ? kPdls.size() : 1);
        calls *= mode.quant == Quant::kNone ? 2 : 3;
        if (!mode.allreduce_only) calls *= 3 * kWeightBiases.size() * kEpsilons.size() * 2;
        if (mode.quant == Quant::kFp8 || mode.quant == Quant::kNvfp4) calls *= 2 * kOutputScales.size();
        product += calls;
      }
    }
  }
  return product;
}

std::string axis_counts_json(const std::vector<Case>& cases) {
  std::map<std::string, std::map<std::string, int>> counts;
  for (const Case& c : cases) {
    for (const auto& [name, value] : axes_of(c)) ++counts[name][value];
  }
  std::string json;
  for (const auto& [name, values] : counts) {
    json += fmt::format("{}\"{}\":{{", json.empty() ? "{" : ",", name);
    for (const char* comma = ""; const auto& [value, count] : values) {
      json += fmt::format("{}\"{}\":{}", comma, value, count);
      comma = ",";
    }
    json += "}";
  }
  return json.empty() ? "{}" : json + "}";
}

}  // namespace allnorm::calls
