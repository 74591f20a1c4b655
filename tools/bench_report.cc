#include "bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "bench_peers.h"
#include "dispatch/names.h"
#include "line_chart.h"
#include "text.h"

namespace allnorm::tools {
namespace {

constexpr std::size_t kFastestOfSweep = 6;

std::string to_text(const Geometry& g) {
  return fmt::format("{}x{}x{}", g.ctas_per_row, g.warps_per_cta, g.chunks_per_warp);
}

/// As the flag --pdl has it.
const char* pdl_name(Pdl pdl) {
  switch (pdl) {
    case Pdl::kEarlyTrigger: return "early";
    case Pdl::kLateTrigger: return "late";
    default: return "off";
  }
}

std::string quant_text(const Variant& variant) {
  if (variant.quant != Quant::kNvfp4) return to_string(variant.quant);
  return fmt::format("{} {}", to_string(variant.quant), to_string(variant.layout));
}

std::vector<Figure> fastest_of_each(const std::vector<Figure>& figures) {
  std::map<std::int64_t, std::vector<Figure>> of_tokens;
  for (const Figure& figure : figures) of_tokens[figure.variant.tokens].push_back(figure);
  std::vector<Figure> fastest;
  for (auto& [tokens, list] : of_tokens) {
    std::sort(list.begin(), list.end(), [](const Figure& a, const Figure& b) {
      return a.measured.microseconds.median < b.measured.microseconds.median;
    });
    list.resize(std::min(list.size(), kFastestOfSweep));
    fastest.insert(fastest.end(), list.begin(), list.end());
  }
  return fastest;
}

}  // namespace

std::string describe(const BenchPlace& place) {
  if (place.virtual_ranks) {
    return fmt::format("{}, {} virtual ranks, which share it: no measure of NVLink", place.device, place.world_size);
  }
  if (place.world_size == 1) return fmt::format("{}, one rank", place.device);
  return fmt::format("{} x {}, {} on each", place.world_size, place.device,
                     place.processes ? "a process with a rank" : "a rank");
}

std::string describe(const Floor& floor) {
  std::string text = fmt::format("empty kernel {:.2f} us", floor.empty_kernel_microseconds);
  if (!floor.links) return text;
  return text + fmt::format(
                    ", a store to the peer {:.2f} us, out of a rank {:.0f} GB/s by stores and {:.0f} by the copy "
                    "engine, all ranks at once",
                    floor.links->one_way_microseconds, floor.links->store_gigabytes_per_second,
                    floor.links->copy_gigabytes_per_second);
}

std::string describe(const Variant& variant) {
  return fmt::format("{} {}{} {} {}", quant_text(variant), to_string(variant.strategy),
                     variant.geometry ? " " + to_text(*variant.geometry) : "",
                     variant.pdl == Pdl::kOff ? "no-pdl" : pdl_name(variant.pdl), to_string(variant.mode));
}

std::string to_json(const BenchPlace& place, const Floor& floor) {
  nlohmann::ordered_json json = {{"figure", "floor"},
                                 {"device", place.device},
                                 {"world_size", place.world_size},
                                 {"processes", place.processes},
                                 {"virtual_ranks", place.virtual_ranks},
                                 {"empty_kernel_microseconds", floor.empty_kernel_microseconds}};
  if (floor.links) {
    json["one_way_microseconds"] = floor.links->one_way_microseconds;
    json["store_gigabytes_per_second"] = floor.links->store_gigabytes_per_second;
    json["copy_gigabytes_per_second"] = floor.links->copy_gigabytes_per_second;
  }
  return json.dump();
}

std::string to_json(const BenchPlace& place, const BenchOptions& options, const Figure& figure) {
  const Variant& variant = figure.variant;
  const Summary& time = figure.measured.microseconds;
  nlohmann::ordered_json json = {{"figure", "call"},
                                 {"device", place.device},
                                 {"world_size", place.world_size},
                                 {"processes", place.processes},
                                 {"virtual_ranks", place.virtual_ranks},
                                 {"hidden_dim", figure.hidden_dim},
                                 {"dtype", to_string(figure.dtype)},
                                 {"quant", to_string(variant.quant)}};
  json["layout"] = nullptr;
  if (variant.quant == Quant::kNvfp4) json["layout"] = to_string(variant.layout);
  json["tokens"] = variant.tokens;
  json["strategy_asked"] = to_string(variant.strategy);
  json["strategy"] = to_string(figure.measured.strategy);
  json["geometry_asked"] = variant.geometry.has_value();
  json["geometry"] = to_text(figure.measured.geometry);
  json["mode"] = to_string(variant.mode);
  json["pdl"] = pdl_name(variant.pdl);
  json["l2"] = options.cold_l2 ? "cold" : "warm";
  json["aligned"] = options.aligned;
  json["microseconds"] = time.median;
  json["quartile_spread"] = time.quartile_spread;
  json["repetitions"] = options.repetitions;
  json["floor_microseconds"] = nullptr;
  json["ratio"] = nullptr;
  if (figure.floor_microseconds) {
    json["floor_microseconds"] = *figure.floor_microseconds;
    json["ratio"] = time.median / *figure.floor_microseconds;
  }
  return json.dump();
}

std::string to_table(const std::vector<Figure>& figures, bool sweep) {
  TextTable table({{'r'}, {}, {}, {}, {}, {}, {'r'}, {'r'}, {'r'}, {'r'}});
  table.add({"tokens", "quant", "strategy", "geometry", "pdl", "mode", "us a call", "spread", "floor", "ratio"});
  for (const Figure& figure : sweep ? fastest_of_each(figures) : figures) {
    const Variant& variant = figure.variant;
    const Summary& time = figure.measured.microseconds;
    const std::string strategy =
        fmt::format("{}{}", variant.strategy == Strategy::kAuto ? "auto: " : "", to_string(figure.measured.strategy));
    const auto& floor = figure.floor_microseconds;
    table.add({std::to_string(variant.tokens), quant_text(variant), strategy, to_text(figure.measured.geometry),
               pdl_name(variant.pdl), to_string(variant.mode), fmt::format("{:.2f}", time.median),
               fmt::format("{:.2f}", time.quartile_spread), floor ? fmt::format("{:.2f}", *floor) : "-",
               floor ? fmt::format("{:.2f}", time.median / *floor) : "-"});
  }
  return table.to_string();
}

std::string to_chart(const BenchPlace& place, const std::vector<Figure>& figures,
                     const std::vector<Comparison>& comparisons) {
  LineChart chart;
  chart.title = "Fused call, " + describe(place);
  chart.x_label = "tokens";
  chart.y_label = "microseconds a call";
  const auto line_of = [&](const std::string& name, bool is_floor) -> ChartLine& {
    for (ChartLine& line : chart.lines) {
      if (line.name == name) return line;
    }
    return chart.lines.emplace_back(ChartLine{name, {}, is_floor});
  };
  for (const Figure& figure : figures) {
    const std::string rows = fmt::format("{} {}", figure.hidden_dim, to_string(figure.dtype));
    const auto tokens = static_cast<double>(figure.variant.tokens);
    if (figure.measured.microseconds.median <= 0) continue;  // a cold L2, and noise
    line_of(rows + " " + describe(figure.variant), false)
        .points.emplace_back(tokens, figure.measured.microseconds.median);
    if (!figure.floor_microseconds) continue;
    // Of the strategies that were measured, the one with the lowest.
    auto& floor = line_of(rows + " floor", true).points;
    if (floor.empty() || floor.back().first != tokens) {
      floor.emplace_back(tokens, *figure.floor_microseconds);
    } else {
      floor.back().second = std::min(floor.back().second, *figure.floor_microseconds);
    }
  }
  for (const Comparison& one : comparisons) {
    auto& points = line_of(fmt::format("{} {} {} {}", one.peer.hidden_dim, to_string(one.peer.dtype),
                                       to_string(one.peer.quant), one.peer.peer),
                           false)
                       .points;
    const auto tokens = static_cast<double>(one.peer.tokens);
    // Once, however many of our variants it is compared with.
    if (points.empty() || points.back().first != tokens) points.emplace_back(tokens, one.peer.microseconds);
  }
  return to_svg(chart);
}

}  // namespace allnorm::tools
