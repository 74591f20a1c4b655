// The schema of a table: text -> Table. Every rule is checked here, so that what is looked up later
// needs no checks.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "dispatch/geometry.h"
#include "dispatch/json_field.h"
#include "dispatch/names.h"
#include "dispatch/table.h"

namespace allnorm {
namespace {

constexpr std::size_t kMaxNameBytes = 200;
constexpr std::int64_t kMaxTokens = std::int64_t{1} << 40;
constexpr double kMaxMicroseconds = 1e9;

std::string read_date(const JsonField& field) {
  const std::string& date = field.string(kMaxNameBytes);
  const std::string_view form = "0000-00-00";
  const auto fits = [](char c, char f) { return f == '-' ? c == '-' : c >= '0' && c <= '9'; };
  if (!std::equal(date.begin(), date.end(), form.begin(), form.end(), fits)) {
    field.refuse("a date such as 2026-11-23");
  }
  return date;
}

Provenance read_provenance(const JsonField& json) {
  json.check_fields({"device", "driver", "nvrtc", "kernel_digest", "date", "tool"});
  Provenance provenance;
  provenance.device = json["device"].string(kMaxNameBytes);
  provenance.driver = json["driver"].string(kMaxNameBytes);
  provenance.nvrtc = json["nvrtc"].string(kMaxNameBytes);
  provenance.kernel_digest = json["kernel_digest"].string(kMaxNameBytes);
  provenance.date = read_date(json["date"]);
  provenance.tool = json["tool"].string(kMaxNameBytes);
  return provenance;
}

TableKey read_key(const JsonField& json) {
  TableKey key;
  key.world_size = static_cast<int>(json["world_size"].integer(1, kMaxWorldSize));
  key.dtype = json["dtype"].name(kRowDataTypes);
  key.quant = json["quant"].name(kQuants);
  key.transport = json["transport"].name(kTransports);
  if (json.has("operation")) key.operation = json["operation"].name(kCallOperations);
  if (key.operation == Operation::kAllReduce && key.quant != Quant::kNone) {
    json["quant"].refuse("none, as the operation is all_reduce");
  }
  const JsonField hidden_dim = json["hidden_dim"];
  key.hidden_dim = static_cast<int>(hidden_dim.integer(1, kMaxHiddenDim));
  if (!is_hidden_dim(key.hidden_dim, key.dtype, key.quant)) {
    hidden_dim.refuse(allowed_hidden_dims(key.dtype, key.quant));
  }
  return key;
}

Geometry read_geometry(const JsonField& json, const TableKey& key) {
  json.check_fields({"ctas_per_row", "warps_per_cta", "chunks_per_warp"});
  const std::int64_t ctas = json["ctas_per_row"].integer_of(kClusterSizes);
  const std::int64_t warps = json["warps_per_cta"].integer(1, kMaxWarpsPerCta);
  const std::int64_t chunks = json["chunks_per_warp"].integer(1, kMaxChunksPerWarp);
  const Geometry geometry = {static_cast<std::uint8_t>(ctas), static_cast<std::uint8_t>(warps),
                             static_cast<std::uint8_t>(chunks)};
  if (!covers_row(geometry, key.hidden_dim, key.dtype)) {
    json.refuse(describe_chunks(geometry), allowed_chunks(key.hidden_dim, key.dtype));
  }
  return geometry;
}

/// `after`: the bound before this one, 0 for the first.
std::int64_t read_max_tokens(const JsonField& json, std::int64_t after, bool last) {
  if (json.is_null()) {
    if (!last) json.refuse("null in the last bound only");
    return TableBound::kNoLimit;
  }
  const std::int64_t tokens = json.integer(1, kMaxTokens, ", or null");
  if (tokens <= after) json.refuse(fmt::format("more than {}, the bound before it", after));
  return tokens;
}

void read_bounds(const JsonField& json, const TableKey& key, std::vector<TableBound>& bounds) {
  const std::vector<JsonField> items = json.items();
  if (items.empty()) json.refuse("an empty array", "one bound or more");
  std::int64_t before = 0;
  for (const JsonField& item : items) {
    item.check_fields({"max_tokens", "strategy", "geometry", "microseconds"});
    TableBound bound;
    bound.max_tokens = read_max_tokens(item["max_tokens"], before, &item == &items.back());
    bound.strategy = item["strategy"].name(kKernelStrategies);
    bound.geometry = read_geometry(item["geometry"], key);
    bound.microseconds = static_cast<float>(item["microseconds"].positive_number(kMaxMicroseconds));
    bounds.push_back(bound);
    before = bound.max_tokens;
  }
}

}  // namespace

Table Table::parse(std::string_view text, const std::string& file) {
  const JsonNode tree = parse_json(text, file);
  const JsonField root(tree, file);
  // First of all the schema: another one has other fields.
  root["schema"].integer(kTableSchema, kTableSchema);
  root.check_fields({"schema", "provenance", "entries"});

  Table table;
  table.provenance_ = read_provenance(root["provenance"]);
  const std::vector<JsonField> items = root["entries"].items();
  std::map<TableKey, const JsonField*> known;
  for (const JsonField& item : items) {
    item.check_fields({"world_size", "dtype", "hidden_dim", "quant", "transport", "bounds"}, {"operation", "unclear"});
    const TableKey key = read_key(item);
    if (const auto [other, is_new] = known.emplace(key, &item); !is_new) {
      item.fail(fmt::format("for the same calls as {} in line {}, allowed: one entry for each kind",
                            other->second->path(), other->second->line()));
    }
    const std::size_t first = table.bounds_.size();
    read_bounds(item["bounds"], key, table.bounds_);
    const bool is_unclear = item.has("unclear") && item["unclear"].boolean();
    table.entries_.push_back({key, first, table.bounds_.size() - first, is_unclear});
  }
  std::sort(table.entries_.begin(), table.entries_.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
  return table;
}

}  // namespace allnorm
