// What `allnorm tune` says of an entry: to people, and as files beside the table.
#ifndef ALLNORM_TOOLS_TUNE_REPORT_H_
#define ALLNORM_TOOLS_TUNE_REPORT_H_

#include <span>
#include <string>
#include <vector>

#include "tune_regret.h"

namespace allnorm::tools {

/// What was measured for an entry.
struct TunedEntry {
  TuneCase kind;
  std::string place;  ///< "2 x NVIDIA H200, a rank on each".
  RaceResults races;
  std::vector<TableBound> bounds;
  std::vector<Policy> policies;
  std::vector<Regret> regrets;  ///< Empty: not measured.
  double seconds = 0;
};

/// "world 2, 7168 bf16 fp8".
std::string describe(const TableKey& key);
/// "w2-7168-bf16-fp8-unicast": of files.
std::string file_name(const TableKey& key);

/// A row for each bound.
std::string bounds_text(std::span<const TableBound> bounds);
/// "41 races, 3 not clear at their end, 1 of them for want of time".
std::string races_sentence(const TunedEntry& entry);
/// "AUTO at 30 token counts that the table was not made from: at most 1.2 % longer than the best, at 90 tokens".
/// Without races the table is an older one, and may be made from any count.
std::string regret_sentence(const TunedEntry& entry);
/// A row for each count: what AUTO runs with the table, the best, and the regret of each policy.
std::string regret_text(const TunedEntry& entry);

/// Time against tokens, the best of each strategy, and where the faster one changes.
std::string time_chart(const TunedEntry& entry);
std::string regret_chart(const TunedEntry& entry);
/// With the two charts, which lie beside it.
std::string to_markdown(const TunedEntry& entry);

/// NAME.md, NAME-time.svg, NAME-regret.svg. Throws UsageError, which names --report.
void write_report(const std::string& folder, const TunedEntry& entry);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_REPORT_H_
