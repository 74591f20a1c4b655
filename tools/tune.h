// The parts of `allnorm tune`.
#ifndef ALLNORM_TOOLS_TUNE_H_
#define ALLNORM_TOOLS_TUNE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "allnorm/types.h"

namespace allnorm::tools {

/// Lists that are empty were not given: the usual ones, or of a check all that the table has.
struct TuneOptions {
  std::vector<int> ranks;  ///< Worlds of this process; a launcher's processes are one world.
  std::vector<int> hidden_dims;
  std::vector<DataType> dtypes;
  std::vector<Quant> quants;
  std::int64_t max_tokens = 4096;
  int seconds = 50;    ///< For each entry.
  std::string output;  ///< The table; empty: in the user's folder.
  std::string report;  ///< A folder; empty: beside the table.
  bool again = false;  ///< Also entries that the table has.
  bool check = false;  ///< Only measure whether a table fits.
  std::string table;   ///< Of a check; empty: the one that calls find.
  int fresh_counts = 30;
  int spawn = 0;
};

/// Exit codes.
int run_tune(const TuneOptions& options);
int run_tune_check(const TuneOptions& options);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_H_
