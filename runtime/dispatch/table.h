// Table: the tuned table of a machine. For each kind of call, ascending bounds on the tokens, each
// with the strategy and the geometry that measured fastest.
//
// Written by the tuner or by hand, as JSON:
//
//   {"schema": 1,
//    "provenance": {"device": "NVIDIA H200", "driver": "580.95", "nvrtc": "13.0",
//                   "kernel_digest": "...", "date": "2026-11-23", "tool": "allnorm tune 1.0"},
//    "entries": [
//      {"world_size": 2, "dtype": "bf16", "hidden_dim": 7168, "quant": "fp8",
//       "transport": "unicast", "operation": "fused",
//       "bounds": [
//         {"max_tokens": 8, "strategy": "one_shot", "microseconds": 3.1,
//          "geometry": {"ctas_per_row": 4, "warps_per_cta": 7, "chunks_per_warp": 1}},
//         {"max_tokens": null, ...}]}]}
//
// "operation" is "fused" (the default) or "all_reduce", whose quant is "none". max_tokens is
// inclusive; null, in the last bound only, means no limit. A call with more tokens than the last
// bound is outside the table. An entry may have "unclear": true, which only the tuner heeds. No other field may be
// added, none left out or given twice.
//
// Thread safety: immutable once parsed. lookup() and choose() neither lock nor allocate.
#ifndef ALLNORM_DISPATCH_TABLE_H_
#define ALLNORM_DISPATCH_TABLE_H_

#include <compare>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dispatch/spec.h"

namespace allnorm {

inline constexpr int kTableSchema = 1;

/// Where a table comes from. A table for another device is of no use; other kernels make it stale.
struct Provenance {
  std::string device;  ///< As the driver names it.
  std::string driver;
  std::string nvrtc;
  std::string kernel_digest;
  std::string date;  ///< YYYY-MM-DD.
  std::string tool;
};

/// The kind of a call: what an entry is for.
struct TableKey {
  Operation operation = Operation::kFused;
  Transport transport = Transport::kUnicast;
  Quant quant = Quant::kNone;
  DataType dtype = DataType::kBF16;
  int world_size = 1;
  int hidden_dim = 0;
  auto operator<=>(const TableKey&) const = default;
};

struct TableBound {
  static constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

  std::int64_t max_tokens = kNoLimit;
  Strategy strategy = Strategy::kOneShot;
  Geometry geometry;
  float microseconds = 0;  ///< Measured at max_tokens, or in the last bound somewhere above.
  bool operator==(const TableBound&) const = default;
};

class Table {
 public:
  /// Throws kInvalidTable: "file:17: entries[0].bounds[2].strategy: "three_shot" given, allowed:
  /// one_shot, two_shot". `file` is only for messages.
  static Table parse(std::string_view text, const std::string& file);

  const Provenance& provenance() const noexcept { return provenance_; }
  std::size_t entry_count() const noexcept { return entries_.size(); }
  /// What there are entries for, ascending.
  std::vector<TableKey> keys() const;

  /// The bounds of a kind of call, ascending; empty if the table has none.
  std::span<const TableBound> lookup(const TableKey& key) const noexcept;

  /// Whether the tuner had no time to make sure of its choices: then it measures them again.
  bool is_unclear(const TableKey& key) const noexcept;

  /// Takes from the other table the entries that this one has not, and the bounds above its own last ones. The number
  /// of entries that it took something of.
  std::size_t add_missing(const Table& other);

 private:
  struct Entry {
    TableKey key;
    std::size_t first_bound;
    std::size_t bound_count;
    bool is_unclear;
  };
  const Entry* find(const TableKey& key) const noexcept;

  Provenance provenance_;
  std::vector<Entry> entries_;      // Sorted by key.
  std::vector<TableBound> bounds_;  // Those of an entry side by side.
};

/// The first bound that holds so many tokens; nullptr if there is none.
const TableBound* choose(std::span<const TableBound> bounds, std::int64_t tokens) noexcept;

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_TABLE_H_
