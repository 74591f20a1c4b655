#include "dispatch/table.h"

#include <algorithm>
#include <map>

namespace allnorm {

std::vector<TableKey> Table::keys() const {
  std::vector<TableKey> keys;
  keys.reserve(entries_.size());
  for (const Entry& entry : entries_) keys.push_back(entry.key);
  return keys;
}

const Table::Entry* Table::find(const TableKey& key) const noexcept {
  const auto entry = std::lower_bound(entries_.begin(), entries_.end(), key,
                                      [](const Entry& e, const TableKey& wanted) { return e.key < wanted; });
  return entry == entries_.end() || entry->key != key ? nullptr : &*entry;
}

std::span<const TableBound> Table::lookup(const TableKey& key) const noexcept {
  const Entry* const entry = find(key);
  if (entry == nullptr) return {};
  return {bounds_.data() + entry->first_bound, entry->bound_count};
}

bool Table::is_unclear(const TableKey& key) const noexcept {
  const Entry* const entry = find(key);
  return entry != nullptr && entry->is_unclear;
}

std::size_t Table::add_missing(const Table& other) {
  struct Parts {
    std::vector<TableBound> bounds;
    bool is_unclear = false;
  };
  std::map<TableKey, Parts> all;
  for (const Entry& entry : entries_) {
    const auto own = lookup(entry.key);
    all[entry.key] = {{own.begin(), own.end()}, entry.is_unclear};
  }
  std::size_t added = 0;
  for (const TableKey& key : other.keys()) {
    auto& [bounds, is_unclear] = all[key];
    const std::int64_t last = bounds.empty() ? 0 : bounds.back().max_tokens;
    const std::size_t before = bounds.size();
    for (const TableBound& bound : other.lookup(key)) {
      if (bound.max_tokens > last) bounds.push_back(bound);
    }
    if (bounds.size() == before) continue;
    is_unclear = is_unclear || other.is_unclear(key);
    ++added;
  }
  entries_.clear();
  bounds_.clear();
  for (const auto& [key, parts] : all) {
    const auto& [bounds, is_unclear] = parts;
    entries_.push_back({key, bounds_.size(), bounds.size(), is_unclear});
    bounds_.insert(bounds_.end(), bounds.begin(), bounds.end());
  }
  return added;
}

const TableBound* choose(std::span<const TableBound> bounds, std::int64_t tokens) noexcept {
  const auto bound = std::lower_bound(bounds.begin(), bounds.end(), tokens,
                                      [](const TableBound& b, std::int64_t t) { return b.max_tokens < t; });
  return bound == bounds.end() ? nullptr : &*bound;
}

}  // namespace allnorm
