// Dispatcher: resolves AUTO. Says with which strategy and geometry a call is to run.
//
// Given the same table, GPU model and world, all ranks get the same strategy for the same question,
// as they must; the table is to be the same on all of them.
//
// Thread safety: immutable; any number of threads may ask. choose() neither locks nor allocates and
// handles no string: it is on the way of every call.
#ifndef ALLNORM_DISPATCH_DISPATCHER_H_
#define ALLNORM_DISPATCH_DISPATCHER_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dispatch/cost_model.h"
#include "dispatch/spec.h"
#include "dispatch/table.h"

namespace allnorm {

/// What the choice depends on and does not change from call to call.
struct DispatchFacts {
  int world_size = 1;
  Transport transport = Transport::kUnicast;
  int multiprocessors = 1;  ///< Those that this rank may fill.
  LinkModel link = link_model(Target::kSm90a);
};

/// What the choice depends on and a call brings.
struct CallShape {
  Operation operation = Operation::kFused;
  DataType dtype = DataType::kBF16;
  Quant quant = Quant::kNone;
  int hidden_dim = 0;
  std::int64_t tokens = 0;
};

/// The most tokens that the workspace holds, by strategy, for rows of this call's size.
struct TokenCapacity {
  std::int64_t one_shot = 0;
  std::int64_t two_shot = 0;
};

struct Choice {
  Strategy strategy;   ///< Never kAuto.
  Geometry geometry;   ///< Covers the row.
  float microseconds;  ///< Measured if the table decided, else the cost model's floor.
};

class Dispatcher {
 public:
  Dispatcher(std::optional<Table> table, const DispatchFacts& facts);

  /// `requested` other than kAuto is what one gets. kAuto is what the table has for the call, else for the same call of
  /// the other 16-bit type; else the strategy alone that the entry with the nearest row size has for as many bytes;
  /// without any the cost model's. If the workspace cannot hold the call with it but can with the other, the other. A
  /// world of one rank is always one-shot, and needs no workspace. The shape must be one that check_spec allows.
  Choice choose(const CallShape& shape, Strategy requested, const TokenCapacity& capacity) const noexcept;

  /// The most tokens of each bound that choose() goes by for such calls, ascending; not for the way of a call.
  std::vector<std::int64_t> last_tokens(const CallShape& shape) const;

 private:
  /// An entry for calls of this world, and what the nearest one is found by.
  struct Neighbour {
    Operation operation;
    Quant quant;
    std::int64_t row_bytes;
    TableKey key;
    auto operator<=>(const Neighbour&) const = default;
  };
  /// What decides for a kind of call.
  struct Source {
    std::span<const TableBound> bounds{};  ///< Empty: the cost model.
    std::int64_t row_bytes = 1;            ///< Of the bounds' calls.
    bool is_same_rows = true;              ///< So that geometry and time hold, too.
  };
  Source find_source(const CallShape& shape) const noexcept;
  const Neighbour* nearest(const CallShape& shape) const noexcept;
  double estimate(Strategy strategy, const CallShape& shape) const noexcept;

  std::optional<Table> table_;
  DispatchFacts facts_;
  std::vector<Neighbour> neighbours_;  ///< Sorted.
};

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_DISPATCHER_H_
