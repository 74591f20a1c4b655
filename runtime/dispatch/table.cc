#include "dispatch/table.h"

#include <algorithm>

namespace allnorm {

std::vector<TableKey> Table::keys() const {
  std::vector<TableKey> keys;
  keys.reserve(entries_.size());
  for (const Entry& entry : entries_) keys.push_back(entry.key);
  return keys;
}

std::span<const TableBound> Table::lookup(const TableKey& key) const noexcept {
  const auto entry = std::lower_bound(entries_.begin(), entries_.end(), key,
                                      [](const Entry& e, const TableKey& wanted) { return e.key < wanted; });
  if (entry == entries_.end() || entry->key != key) return {};
  return {bounds_.data() + entry->first_bound, entry->bound_count};
}

const TableBound* choose(std::span<const TableBound> bounds, std::int64_t tokens) noexcept {
  const auto bound = std::lower_bound(bounds.begin(), bounds.end(), tokens,
                                      [](const TableBound& b, std::int64_t t) { return b.max_tokens < t; });
  return bound == bounds.end() ? nullptr : &*bound;
}

}  // namespace allnorm
