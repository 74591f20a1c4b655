// Measures one entry of a table: search, then the regret of what came of it.
#ifndef ALLNORM_TOOLS_TUNE_ENTRY_H_
#define ALLNORM_TOOLS_TUNE_ENTRY_H_

#include <functional>
#include <memory>
#include <string>

#include "measure.h"
#include "tune.h"
#include "tune_place.h"
#include "tune_report.h"

namespace allnorm::tools {

/// What is done, and how many seconds are left of this entry; from any thread, one at a time.
using OnTuneStep = std::function<void(const std::string& what, double seconds_left)>;

/// Of what was done in so many seconds; as long as that is next to nothing, what remains of the budget.
double seconds_left(double elapsed, double share_done, double budget);

/// The ranks begin each sample together: how far apart they are launched is nothing that a choice changes.
MeterOptions meter_options(const TableKey& key, std::int64_t max_tokens);
/// For the rows of the key. All ranks make it together.
std::unique_ptr<Meter> meter_for(const TunePlace& place, const TableKey& key, std::int64_t max_tokens);

/// All ranks do this together, and get the same. `key`: with the Meter's transport.
TunedEntry tune_entry(Meter& meter, const TunePlace& place, const TableKey& key, const Provenance& made_here,
                      const TuneOptions& options, const OnTuneStep& on_step);
/// The same, but the table is given: only the regret is measured, at check_counts().
TunedEntry check_entry(Meter& meter, const TunePlace& place, const TableKey& key, const Table& table,
                       const TuneOptions& options, const OnTuneStep& on_step);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_ENTRY_H_
