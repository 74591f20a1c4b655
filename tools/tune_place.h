// Where `allnorm tune` measures: GPUs, one for each rank, of this process or of several.
#ifndef ALLNORM_TOOLS_TUNE_PLACE_H_
#define ALLNORM_TOOLS_TUNE_PLACE_H_

#include <string>
#include <vector>

#include "allnorm/bootstrap.h"
#include "dispatch/table.h"
#include "env/env.h"
#include "tune_search.h"

namespace allnorm::tools {

struct TunePlace {
  std::vector<int> gpus;           ///< Of the ranks of this process.
  Bootstrap* bootstrap = nullptr;  ///< Null: all ranks are here.
  int world_size = 1;

  /// Whether this process has rank 0, which decides, prints and writes.
  bool speaks() const { return bootstrap == nullptr || bootstrap->rank() == 0; }
  /// "2 x NVIDIA H200, a rank on each".
  std::string words() const;
  TuneCase kind_of(const TableKey& key) const;
};

/// Throws kDriver without a GPU.
void need_gpus(const Env& env);
/// The world that a launcher has started, or those that were asked for, or worlds of 2, 4, 8 as far as there are GPUs.
std::vector<TunePlace> places_of(const std::vector<int>& ranks, const Env& env);
/// A world of so many ranks of this process. Throws kUnsupported unless each has a GPU of its own.
TunePlace place_of(int ranks, const Env& env);
/// The name of rank 0's GPU: what a table is for.
std::string device_name(const TunePlace& place);
/// What a table that is made here and now says of itself.
Provenance provenance_of(const TunePlace& place);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_PLACE_H_
