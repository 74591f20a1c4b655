#include "dispatch/auto_specs.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_set>

namespace allnorm {
namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
/// AUTO goes by what the workspace holds: both strategies, or one of them.
constexpr std::array kAnyCapacity = {TokenCapacity{kUnlimited, kUnlimited}, TokenCapacity{kUnlimited, 0},
                                     TokenCapacity{0, kUnlimited}};

/// Where the choice can change: at every count up to the limit, for strategy and default geometry; beyond it the
/// default geometry is that of many tokens, and the table's bounds are all there is.
std::vector<std::int64_t> token_counts(std::span<const std::int64_t> bounds, const AutoQuestion& question) {
  const std::int64_t limit = question.max_tokens.value_or(AutoQuestion::kDefaultMaxTokens);
  std::vector<std::int64_t> counts;
  for (std::int64_t tokens = 1; tokens <= limit; ++tokens) counts.push_back(tokens);
  if (question.max_tokens) return counts;
  for (const std::int64_t bound : bounds) {
    const std::int64_t last = std::min(bound, kMaxCallTokens);
    if (last > counts.back()) counts.push_back(last);
    if (last >= counts.back() && last < kMaxCallTokens) counts.push_back(last + 1);
  }
  return counts;
}

}  // namespace

std::span<const int> known_multiprocessors(Target target) noexcept {
  static constexpr std::array kHopper = {132, 114, 78};            // H100, H200 and GH200; H100 PCIe; H20
  static constexpr std::array kBlackwell = {148, 152};             // B200; GB200
  static constexpr std::array kBlackwellUltra = {148, 152, 160};   // B300; GB300
  static constexpr std::array kRtx = {188, 170, 110, 84, 70, 48};  // RTX PRO 6000, 5090, PRO 5000, 5080, 5070 Ti, 5070
  static constexpr std::array kSimulated = {16};
  switch (target) {
    case Target::kSm90a: return kHopper;
    case Target::kSm100a: return kBlackwell;
    case Target::kSm103a: return kBlackwellUltra;
    case Target::kSm120a: return kRtx;
    case Target::kHost: break;
  }
  return kSimulated;
}

std::vector<Spec> auto_specs(const Spec& kind, const std::optional<Table>& table, const AutoQuestion& question) {
  CallShape shape = {kind.operation, kind.dtype, kind.quant, kind.hidden_dim, 0};
  const std::span<const TokenCapacity> capacities =
      question.capacity ? std::span(&*question.capacity, 1) : std::span<const TokenCapacity>(kAnyCapacity);
  const std::span<const int> multiprocessors =
      question.multiprocessors.empty() ? known_multiprocessors(kind.target) : question.multiprocessors;

  std::vector<Spec> specs;
  std::unordered_set<Spec, SpecHash> known;
  for (const int count : multiprocessors) {
    const Dispatcher dispatcher(table, {kind.world_size, kind.transport, count, link_model(kind.target)});
    const std::vector<std::int64_t> counts = token_counts(dispatcher.last_tokens(shape), question);
    for (const TokenCapacity& capacity : capacities) {
      for (const std::int64_t tokens : counts) {
        shape.tokens = tokens;
        const Choice choice = dispatcher.choose(shape, question.requested, capacity);
        Spec spec = kind;
        spec.strategy = choice.strategy;
        spec.geometry = choice.geometry;
        if (known.insert(spec).second) specs.push_back(spec);
      }
    }
  }
  return specs;
}

}  // namespace allnorm
