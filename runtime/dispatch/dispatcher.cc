#include "dispatch/dispatcher.h"

#include <algorithm>
#include <iterator>
#include <tuple>
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

std::int64_t row_bytes_of(int hidden_dim, DataType dtype) noexcept {
  return static_cast<std::int64_t>(hidden_dim) * static_cast<int>(size_of(dtype));
}

/// Same bytes, same instructions but for conversions: what is fast for one is fast for the other.
DataType twin(DataType dtype) noexcept {
  if (dtype == DataType::kBF16) return DataType::kF16;
  return dtype == DataType::kF16 ? DataType::kBF16 : dtype;
}

}  // namespace

Dispatcher::Dispatcher(std::optional<Table> table, const DispatchFacts& facts)
    : table_(std::move(table)), facts_(facts) {
  if (!table_) return;
  for (const TableKey& key : table_->keys()) {
    if (key.world_size != facts_.world_size || key.transport != facts_.transport) continue;
    neighbours_.push_back({key.operation, key.quant, row_bytes_of(key.hidden_dim, key.dtype), key});
  }
  std::sort(neighbours_.begin(), neighbours_.end());
}

const Dispatcher::Neighbour* Dispatcher::nearest(const CallShape& shape) const noexcept {
  const std::int64_t row_bytes = row_bytes_of(shape.hidden_dim, shape.dtype);
  const auto is_alike = [&](const Neighbour& n) { return n.operation == shape.operation && n.quant == shape.quant; };
  const auto above =
      std::lower_bound(neighbours_.begin(), neighbours_.end(), shape, [&](const Neighbour& n, const CallShape& wanted) {
        return std::tuple(n.operation, n.quant, n.row_bytes) < std::tuple(wanted.operation, wanted.quant, row_bytes);
      });
  const Neighbour* const high = above != neighbours_.end() && is_alike(*above) ? &*above : nullptr;
  const Neighbour* const low =
      above != neighbours_.begin() && is_alike(*std::prev(above)) ? &*std::prev(above) : nullptr;
  if (high == nullptr || low == nullptr) return high != nullptr ? high : low;
  // By their ratio: low / own against own / high.
  return low->row_bytes * high->row_bytes > row_bytes * row_bytes ? low : high;
}

Dispatcher::Source Dispatcher::find_source(const CallShape& shape) const noexcept {
  if (!table_) return {};
  TableKey key = {.operation = shape.operation,
                  .transport = facts_.transport,
                  .quant = shape.quant,
                  .dtype = shape.dtype,
                  .world_size = facts_.world_size,
                  .hidden_dim = shape.hidden_dim};
  const std::int64_t row_bytes = row_bytes_of(shape.hidden_dim, shape.dtype);
  for (const DataType dtype : {shape.dtype, twin(shape.dtype)}) {
    key.dtype = dtype;
    if (const auto bounds = table_->lookup(key); !bounds.empty()) return {bounds, row_bytes, true};
  }
  const Neighbour* const neighbour = nearest(shape);
  if (neighbour == nullptr) return {};
  return {table_->lookup(neighbour->key), neighbour->row_bytes, false};
}

std::vector<std::int64_t> Dispatcher::last_tokens(const CallShape& shape) const {
  const Source source = find_source(shape);
  const std::int64_t own = row_bytes_of(shape.hidden_dim, shape.dtype);
  std::vector<std::int64_t> tokens;
  for (const TableBound& bound : source.bounds) {
    const bool has_limit = bound.max_tokens != TableBound::kNoLimit;
    tokens.push_back(has_limit ? bound.max_tokens * source.row_bytes / own : TableBound::kNoLimit);
  }
  return tokens;
}

double Dispatcher::estimate(Strategy strategy, const CallShape& shape) const noexcept {
  return estimate_microseconds(strategy, facts_.world_size, shape.tokens, row_bytes_of(shape.hidden_dim, shape.dtype),
                               facts_.transport, facts_.link);
}

Choice Dispatcher::choose(const CallShape& shape, Strategy requested, const TokenCapacity& capacity) const noexcept {
  const Source source = find_source(shape);
  // As many bytes as this call has, rounded up.
  const std::int64_t bytes = shape.tokens * row_bytes_of(shape.hidden_dim, shape.dtype);
  const TableBound* const bound = allnorm::choose(source.bounds, (bytes - 1) / source.row_bytes + 1);

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

  // The table's geometry was measured with its own strategy and rows, and says nothing about others.
  if (bound != nullptr && source.is_same_rows && bound->strategy == strategy) {
    return {strategy, bound->geometry, bound->microseconds};
  }
  return {strategy,
          default_geometry(shape.hidden_dim, shape.dtype, shape.tokens, facts_.world_size, facts_.multiprocessors),
          static_cast<float>(estimate(strategy, shape))};
}

}  // namespace allnorm
