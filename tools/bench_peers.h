// What others take for the same calls, as tools/compare-peers has written it down.
#ifndef ALLNORM_TOOLS_BENCH_PEERS_H_
#define ALLNORM_TOOLS_BENCH_PEERS_H_

#include <string>
#include <vector>

#include "bench_report.h"

namespace allnorm::tools {

/// A peer's best figure of a shape.
struct PeerFigure {
  std::string peer;
  std::string device;
  int world_size = 0;
  int hidden_dim = 0;
  DataType dtype = DataType::kBF16;
  Quant quant = Quant::kFp8;
  std::int64_t tokens = 0;
  double microseconds = 0;
};

/// `text` is a JSON object a line; those with "error" are left out, and of a peer's settings for a shape the fastest is
/// taken. Throws UsageError, which names `flag`, the line and what is wrong with it.
std::vector<PeerFigure> parse_peers(const std::string& text, const std::string& flag);
std::vector<PeerFigure> read_peers(const std::string& path, const std::string& flag);

/// Those of the same device, world, rows and quantization as a figure in a CUDA graph, ascending in tokens.
struct Comparison {
  Figure figure;
  PeerFigure peer;

  double ratio() const { return peer.microseconds / figure.measured.microseconds.median; }
};
std::vector<Comparison> compare(const BenchPlace& place, const std::vector<Figure>& figures,
                                const std::vector<PeerFigure>& peers);

std::string to_table(const std::vector<Comparison>& comparisons);
/// A line, without the line feed.
std::string to_json(const Comparison& comparison);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_BENCH_PEERS_H_
