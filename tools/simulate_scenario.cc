// `allnorm simulate`: the scenario that its options describe.
#include <fmt/format.h>

#include <algorithm>

#include "dispatch/geometry.h"
#include "options.h"
#include "simulate.h"
#include "text.h"

namespace allnorm::tools {
namespace {

using sim_tests::Mutation;
using sim_tests::Scenario;

constexpr const char* kStandard = "standard";

/// Null if there is none of that name.
const Mutation* find(const std::string& name) {
  const auto all = sim_tests::mutations();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Mutation& each) { return name == each.name; });
  return found == all.end() ? nullptr : &*found;
}

[[noreturn]] void refuse_name(const char* flag, const std::string& given, std::vector<std::string> allowed) {
  for (const Mutation& mutation : sim_tests::mutations()) allowed.emplace_back(mutation.name);
  const std::string meant = nearest(given, allowed);
  refuse(flag, "\"" + given + "\"",
         fmt::format("{}{}", fmt::join(allowed, ", "), meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
}

Scenario named_scenario(const SimulateOptions& options, const Mutation* mutation) {
  if (options.scenario.empty() && mutation != nullptr) return scenario_of(*mutation, true);
  if (options.scenario.empty() || options.scenario == kStandard) return sim_tests::standard_scenario();
  const Mutation* const of = find(options.scenario);
  if (of == nullptr) refuse_name("--scenario", options.scenario, {kStandard});
  return scenario_of(*of, false);
}

template <typename Value, typename Set>
void set_each(std::vector<calls::Case>& calls, const std::vector<Value>& values, Set set) {
  for (std::size_t i = 0; !values.empty() && i < calls.size(); i++) set(calls[i], values[i % values.size()]);
}

/// Inputs of calls that the scenario does not have are new ones.
void set_count(std::vector<calls::Case>& calls, std::size_t count) {
  const std::vector<calls::Case> given = calls;
  calls.resize(std::min(calls.size(), count));
  while (calls.size() < count) {
    calls::Case c = given[calls.size() % given.size()];
    c.index = static_cast<std::uint32_t>(calls.size());
    c.seed = given.front().seed + c.index;
    calls.push_back(c);
  }
}

void set_quant(calls::Case& c, Quant quant) {
  c.quant = quant;
  const bool has_blocks = quant == Quant::kNvfp4;
  c.layout = has_blocks ? ScaleLayout::kSwizzled128x4 : ScaleLayout::kLinear;
  // Such that rows use the range of the format: FP8 divides by it, NVFP4 multiplies.
  c.output_scale = has_blocks ? 128.0F : quant == Quant::kFp8 ? 0.05F : 1.0F;
  if (!has_blocks) c.zero_scale_padding = false;
}

void set_operation(calls::Case& c, Operation operation) {
  c.allreduce_only = operation == Operation::kAllReduce;
  c.has_residual_out = !c.allreduce_only;
}

void apply(const SimulateShape& shape, Scenario& scenario) {
  std::vector<calls::Case>& calls = scenario.calls;
  const std::size_t longest =
      std::max({calls.size(), shape.tokens.size(), shape.hidden_dims.size(), shape.dtypes.size(), shape.quants.size(),
                shape.strategies.size(), shape.operations.size()});
  set_count(calls, shape.calls ? static_cast<std::size_t>(*shape.calls) : longest);
  set_each(calls, shape.tokens, [](calls::Case& c, std::int64_t tokens) { c.tokens = tokens; });
  set_each(calls, shape.hidden_dims, [](calls::Case& c, int hidden_dim) { c.hidden_dim = hidden_dim; });
  set_each(calls, shape.dtypes, [](calls::Case& c, DataType dtype) { c.dtype = c.gamma_dtype = dtype; });
  set_each(calls, shape.quants, set_quant);
  set_each(calls, shape.strategies, [](calls::Case& c, Strategy strategy) { c.strategy = strategy; });
  set_each(calls, shape.operations, set_operation);
  scenario.world_size = shape.world_size.value_or(scenario.world_size);
  scenario.ranks_per_gpu = shape.ranks_per_gpu.value_or(scenario.ranks_per_gpu);
  scenario.multiprocessors = shape.multiprocessors.value_or(scenario.multiprocessors);
  if (shape.transport) scenario.multicast = *shape.transport == Transport::kMulticast;
  for (calls::Case& c : calls) {
    c.world_size = scenario.world_size;
    c.pdl = shape.pdl.value_or(c.pdl);
  }
}

void check(const Scenario& scenario) {
  for (std::size_t i = 0; i < scenario.calls.size(); i++) {
    const calls::Case& c = scenario.calls[i];
    if (c.allreduce_only && c.quant != Quant::kNone) {
      refuse("--quant", fmt::format("{} for call {}, an all_reduce", to_string(c.quant), i), to_string(Quant::kNone));
    }
    if (is_hidden_dim(c.hidden_dim, c.dtype, c.quant)) continue;
    refuse("--hidden", fmt::format("{} for call {}", c.hidden_dim, i), allowed_hidden_dims(c.dtype, c.quant));
  }
  for (const int silent : scenario.silent_ranks) {
    if (silent < scenario.world_size) continue;
    refuse("--world", fmt::format("{}", scenario.world_size),
           fmt::format("{} or more in a scenario where rank {} is silent", silent + 1, silent));
  }
  if (scenario.again_with_tokens && *scenario.again_with_tokens > scenario.calls.back().tokens) {
    refuse("--tokens", fmt::format("{} for the last call", scenario.calls.back().tokens),
           fmt::format("{} or more in a scenario that repeats it with so many", *scenario.again_with_tokens));
  }
}

}  // namespace

const Mutation* find_mutation(const SimulateOptions& options) {
  if (options.mutation.empty()) return nullptr;
  const Mutation* const found = find(options.mutation);
  if (found == nullptr) refuse_name("--mutation", options.mutation, {});
  return found;
}

Scenario make_scenario(const SimulateOptions& options) {
  const Mutation* const mutation = find_mutation(options);
  Scenario scenario = named_scenario(options, mutation);
  if (mutation != nullptr && mutation->oversized_grid) {
    scenario.extra_clusters = scenario_of(*mutation, true).extra_clusters;
  }
  apply(options.shape, scenario);
  check(scenario);
  return scenario;
}

}  // namespace allnorm::tools
