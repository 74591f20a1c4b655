#include "bench_peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>

#include "command.h"
#include "dispatch/names.h"
#include "text.h"

namespace allnorm::tools {
namespace {

using nlohmann::json;

/// A field of a line; throws what is wrong with it.
template <typename T>
T field(const json& line, const char* name) {
  const auto found = line.find(name);
  if (found == line.end()) throw std::invalid_argument(fmt::format("no \"{}\"", name));
  try {
    return found->get<T>();
  } catch (const json::exception&) {
    throw std::invalid_argument(fmt::format("\"{}\": {} given", name, found->dump()));
  }
}

PeerFigure parse_figure(const json& line) {
  PeerFigure figure;
  figure.peer = field<std::string>(line, "peer");
  figure.device = field<std::string>(line, "device");
  figure.world_size = field<int>(line, "world");
  figure.hidden_dim = field<int>(line, "hidden_dim");
  figure.tokens = field<std::int64_t>(line, "tokens");
  figure.microseconds = field<double>(line, "microseconds");
  if (!(figure.microseconds > 0) || !std::isfinite(figure.microseconds)) {
    throw std::invalid_argument("\"microseconds\": not above 0");
  }
  figure.dtype = parse_data_type(field<std::string>(line, "dtype"));
  figure.quant = parse_quant(field<std::string>(line, "quant"));
  return figure;
}

}  // namespace

std::vector<PeerFigure> parse_peers(const std::string& text, const std::string& flag) {
  std::map<std::tuple<std::string, std::string, int, int, DataType, Quant, std::int64_t>, PeerFigure> best;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); number++) {
    if (line.empty()) continue;
    try {
      const json object = json::parse(line, nullptr, false);
      if (!object.is_object()) throw std::invalid_argument("no JSON object");
      if (object.contains("error")) continue;
      const PeerFigure figure = parse_figure(object);
      const auto [at, is_first] = best.try_emplace(
          {figure.peer, figure.device, figure.world_size, figure.hidden_dim, figure.dtype, figure.quant, figure.tokens},
          figure);
      if (!is_first && figure.microseconds < at->second.microseconds) at->second = figure;
    } catch (const std::exception& error) {
      refuse(flag, fmt::format("line {}: {}", number, error.what()), "what tools/compare-peers prints");
    }
  }
  std::vector<PeerFigure> figures;
  for (const auto& [key, figure] : best) figures.push_back(figure);
  return figures;
}

std::vector<PeerFigure> read_peers(const std::string& path, const std::string& flag) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) refuse(flag, path, "a file that can be read and has a line");
  return parse_peers(text.str(), flag);
}

std::vector<Comparison> compare(const BenchPlace& place, const std::vector<Figure>& figures,
                                const std::vector<PeerFigure>& peers) {
  std::vector<Comparison> comparisons;
  for (const PeerFigure& peer : peers) {
    for (const Figure& figure : figures) {
      if (figure.variant.mode == CallMode::kGraph && peer.device == place.device &&
          peer.world_size == place.world_size && peer.hidden_dim == figure.hidden_dim && peer.dtype == figure.dtype &&
          peer.quant == figure.variant.quant && peer.tokens == figure.variant.tokens) {
        comparisons.push_back({figure, peer});
      }
    }
  }
  return comparisons;
}

std::string to_table(const std::vector<Comparison>& comparisons) {
  TextTable table({{'r'}, {'r'}, {}, {'r'}, {}, {'r'}, {'r'}});
  table.add({"hidden", "tokens", "AllNorm", "us a call", "peer", "us a call", "ratio"});
  for (const Comparison& one : comparisons) {
    table.add({std::to_string(one.figure.hidden_dim), std::to_string(one.figure.variant.tokens),
               describe(one.figure.variant), fmt::format("{:.2f}", one.figure.measured.microseconds.median),
               one.peer.peer, fmt::format("{:.2f}", one.peer.microseconds), fmt::format("{:.2f}", one.ratio())});
  }
  return table.to_string();
}

std::string to_json(const Comparison& one) {
  const nlohmann::ordered_json line = {{"figure", "peer"},
                                       {"peer", one.peer.peer},
                                       {"world_size", one.peer.world_size},
                                       {"hidden_dim", one.figure.hidden_dim},
                                       {"dtype", to_string(one.figure.dtype)},
                                       {"quant", to_string(one.figure.variant.quant)},
                                       {"tokens", one.figure.variant.tokens},
                                       {"variant", describe(one.figure.variant)},
                                       {"microseconds", one.figure.measured.microseconds.median},
                                       {"peer_microseconds", one.peer.microseconds},
                                       {"ratio", one.ratio()}};
  return line.dump();
}

}  // namespace allnorm::tools
