#include "dispatch/dispatcher.h"

#include <utility>

#include "dispatch/geometry.h"

namespace allnorm {
namespace {

Strategy other(Strategy strategy) noexcept {
  return strategy == Strategy::kOneShot ? Strategy::kTwoShot : Strategy::kOneShot;
}

bool fits(Strategy strategy, std::int64_t tokens, const TokenCapacity& capacity) noexcept {
  return tokens <= (strategy == Strategy::kOneShot ? capacity.one_shot : capacity.two_shot);
}

}  // namespace

Dispatcher::Dispatcher(std::optional<Table> table, const DispatchFacts& facts)
    : table_(std::move(table)), facts_(facts) {}

const TableBound* Dispatcher::find_bound(const CallShape& shape) const noexcept {
  if (!table_) return nullptr;
  const auto bounds = table_->lookup({.operation = shape.operation,
                                      .transport = facts_.transport,
                                      .quant = shape.quant,
                                      .dtype = shape.dtype,
                                      .world_size = facts_.world_size,
                                      .hidden_dim = shape.hidden_dim});
  return allnorm::choose(bounds, shape.tokens);
}

double Dispatcher::estimate(Strategy strategy, const CallShape& shape) const noexcept {
  const auto row_bytes = static_cast<std::int64_t>(shape.hidden_dim) * static_cast<int>(size_of(shape.dtype));
  return estimate_microseconds(strategy, facts_.world_size, shape.tokens, row_bytes, facts_.transport, facts_.link);
}

Choice Dispatcher::choose(const CallShape& shape, Strategy requested, const TokenCapacity& capacity) const noexcept {
  const TableBound* bound = find_bound(shape);

  Strategy strategy = requested;
  if (facts_.world_size == 1) {
    strategy = Strategy::kOneShot;
  } else if (requested == Strategy::kAuto) {
    if (bound != nullptr) {
      strategy = bound->strategy;
    } else {
      const bool two_shot_wins = estimate(Strategy::kTwoShot, shape) < estimate(Strategy::kOneShot, shape);
      strategy = two_shot_wins ? Strategy::kTwoShot : Strategy::kOneShot;
    }
    if (!fits(strategy, shape.tokens, capacity) && fits(other(strategy), shape.tokens, capacity)) {
      strategy = other(strategy);
    }
  }

  // The table's geometry was measured with its own strategy, and says nothing about the other.
  if (bound != nullptr && bound->strategy == strategy) {
    return {strategy, bound->geometry, bound->microseconds};
  }
  return {strategy, default_geometry(shape.hidden_dim, shape.dtype, shape.tokens, facts_.multiprocessors),
          static_cast<float>(estimate(strategy, shape))};
}

}  // namespace allnorm
