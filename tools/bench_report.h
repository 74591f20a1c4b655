// What `allnorm bench` prints.
#ifndef ALLNORM_TOOLS_BENCH_REPORT_H_
#define ALLNORM_TOOLS_BENCH_REPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "bench.h"
#include "floor.h"

namespace allnorm::tools {

/// Where it was measured.
struct BenchPlace {
  std::string device;  ///< The GPU's name.
  int world_size = 1;
  bool processes = false;  ///< A process for each rank.
  bool virtual_ranks = false;
};

struct Figure {
  int hidden_dim = 0;
  DataType dtype = DataType::kBF16;
  Variant variant;
  Measured measured;
  std::optional<double> floor_microseconds;
};

/// "2 x NVIDIA H200, a rank on each".
std::string describe(const BenchPlace& place);
std::string describe(const Floor& floor);
/// "fp8 auto early graph": what lines of a chart are told apart by, beside the rows.
std::string describe(const Variant& variant);

/// A line each, without the line feed.
std::string to_json(const BenchPlace& place, const Floor& floor);
std::string to_json(const BenchPlace& place, const BenchOptions& options, const Figure& figure);

/// Figures of one shape of rows. With a sweep, the fastest of each token count alone, in the order of their times.
std::string to_table(const std::vector<Figure>& figures, bool sweep);

struct Comparison;  // bench_peers.h

/// Time against tokens, with the floor and the peers, as SVG.
std::string to_chart(const BenchPlace& place, const std::vector<Figure>& figures,
                     const std::vector<Comparison>& comparisons);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_BENCH_REPORT_H_
