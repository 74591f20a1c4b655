#include "dispatch/table_text.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "dispatch/names.h"

namespace allnorm {
namespace {

using Json = nlohmann::ordered_json;

/// More digits would say more than was measured.
double rounded(double microseconds) { return std::round(microseconds * 1000) / 1000; }

Json to_json(const TableBound& bound) {
  Json json;
  json["max_tokens"] = nullptr;
  if (bound.max_tokens != TableBound::kNoLimit) json["max_tokens"] = bound.max_tokens;
  json["strategy"] = to_string(bound.strategy);
  json["geometry"] = {{"ctas_per_row", bound.geometry.ctas_per_row},
                      {"warps_per_cta", bound.geometry.warps_per_cta},
                      {"chunks_per_warp", bound.geometry.chunks_per_warp}};
  json["microseconds"] = rounded(bound.microseconds);
  return json;
}

/// A bound is a line: what people compare.
std::string to_json(const TableKey& key, const std::vector<TableBound>& bounds, bool is_unclear) {
  std::string lines;
  for (const TableBound& bound : bounds) {
    lines += fmt::format("{}\n        {}", lines.empty() ? "" : ",", to_json(bound).dump());
  }
  return fmt::format(
      "    {{\"world_size\": {}, \"dtype\": \"{}\", \"hidden_dim\": {}, \"quant\": \"{}\",\n"
      "     \"transport\": \"{}\", \"operation\": \"{}\",{}\n     \"bounds\": [{}]}}",
      key.world_size, to_string(key.dtype), key.hidden_dim, to_string(key.quant), to_string(key.transport),
      to_string(key.operation), is_unclear ? " \"unclear\": true," : "", lines);
}

}  // namespace

TableParts parts_of(const Table& table) {
  TableParts parts{table.provenance(), {}, {}};
  for (const TableKey& key : table.keys()) {
    const auto bounds = table.lookup(key);
    parts.entries[key] = {bounds.begin(), bounds.end()};
    if (table.is_unclear(key)) parts.unclear.insert(key);
  }
  return parts;
}

std::string to_json(const TableParts& parts) {
  const Provenance& made = parts.provenance;
  const Json provenance = {{"device", made.device}, {"driver", made.driver},
                           {"nvrtc", made.nvrtc},   {"kernel_digest", made.kernel_digest},
                           {"date", made.date},     {"tool", made.tool}};
  std::string entries;
  for (const auto& [key, bounds] : parts.entries) {
    entries += (entries.empty() ? "\n" : ",\n") + to_json(key, bounds, parts.unclear.contains(key));
  }
  return fmt::format("{{\n  \"schema\": {},\n  \"provenance\": {},\n  \"entries\": [{}]\n}}\n", kTableSchema,
                     provenance.dump(), entries);
}

}  // namespace allnorm
