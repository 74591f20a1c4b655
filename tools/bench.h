// The parts of `allnorm bench`.
#ifndef ALLNORM_TOOLS_BENCH_H_
#define ALLNORM_TOOLS_BENCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "variant.h"

namespace allnorm::tools {

struct BenchOptions {
  std::vector<int> hidden_dims = {7168};
  std::vector<DataType> dtypes = {DataType::kBF16};
  std::vector<int> tokens = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
  std::vector<Quant> quants = {Quant::kFp8};
  std::vector<ScaleLayout> layouts = {ScaleLayout::kSwizzled128x4};
  std::vector<Strategy> strategies;  ///< Empty: AUTO, or of a sweep all.
  std::vector<Pdl> pdls;             ///< Empty: the early trigger, or of a sweep both.
  std::vector<Geometry> geometries;  ///< Empty: the dispatcher's, or of a sweep all.
  bool sweep = false;
  std::vector<CallMode> modes = {CallMode::kGraph};
  bool cold_l2 = false;
  bool aligned = false;
  int repetitions = 25;
  int ranks = 2;  ///< Of this process; a launcher's processes have one each.
  int spawn = 0;
  bool json = false;
  std::string plot;   ///< A file; empty: none.
  std::string peers;  ///< A file of tools/compare-peers; empty: none.
};

/// Ascending in tokens. `virtual_ranks`: they have no PDL.
std::vector<Variant> bench_variants(const BenchOptions& options, int hidden_dim, DataType dtype, bool virtual_ranks);

/// An exit code.
int run_bench(const BenchOptions& options);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_BENCH_H_
