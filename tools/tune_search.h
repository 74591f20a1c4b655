// Search: races over token counts, and the bounds of a table that come of them.
//
// At the powers of four all candidates race. At the counts between, those that were near the best at one of the two
// neighbours, and the best of each strategy. Then, where the choice changes from a count to the next and it matters on
// which side of it a call is, the counts between are halved until that place is known. At last, while there is time,
// gaps are halved where the rows just fill the multiprocessors.
#ifndef ALLNORM_TOOLS_TUNE_SEARCH_H_
#define ALLNORM_TOOLS_TUNE_SEARCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "dispatch/dispatcher.h"
#include "dispatch/table.h"
#include "tune_race.h"

namespace allnorm::tools {

/// The kind of call, and the machine that it runs on.
struct TuneCase {
  TableKey key;
  int multiprocessors = 1;
  LinkModel link = link_model(Target::kSm90a);
};

/// With no more tokens than the World is made for.
struct SearchRules {
  std::int64_t max_tokens = 4096;
  double near = 0.10;               ///< How far behind at a count a candidate may be, to race at the counts beside it.
  double near_where_filled = 0.25;  ///< The same where the rows just fill the multiprocessors.
  RaceRules race{};
  double seconds = 1e9;  ///< For all races together.
};

using RaceResults = std::map<std::int64_t, RaceResult>;

/// What AUTO would run: of this table, or of the cost model if there is none.
Candidate auto_choice(const TuneCase& kind, const Table* table, std::int64_t tokens);
/// All geometries worth a try, with each strategy that the world has. What AUTO runs without a table is among them.
std::vector<Candidate> all_candidates(const TuneCase& kind);

/// Each power of two and half as much again, and close together the counts whose rows just fill the multiprocessors,
/// where one more row needs another turn on the GPU.
std::vector<std::int64_t> token_grid(std::int64_t max_tokens, int multiprocessors);
bool is_anchor(std::int64_t tokens, std::int64_t max_tokens);

/// Who is the best at so many tokens is the best at more. A search that went less far says nothing of larger calls.
inline constexpr std::int64_t kTokensForAll = 4096;

/// The fewest bounds such that each one's choice is as good as the best wherever it was measured. Of several such
/// choices, one that the table has already, else the one that is the least behind. The
/// last bound ends at the largest count, or is without limit if that is kTokensForAll or more.
std::vector<TableBound> fewest_bounds(const RaceResults& results, double tolerance);

/// Races whose order is not certain, and those of them that had no time to become clear.
struct Unclear {
  std::size_t races = 0;
  std::size_t cut_short = 0;
};
Unclear count_unclear(const RaceResults& results);

/// `on_count`: before each race, with the share of the work that is done, 0 to 1.
RaceResults search(RaceTrack& track, const TuneCase& kind, const SearchRules& rules,
                   const std::function<void(std::int64_t tokens, double done)>& on_count);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_SEARCH_H_
