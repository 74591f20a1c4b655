#include "line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace allnorm::tools {
namespace {

constexpr double kLeft = 70;
constexpr double kTop = 40;
constexpr double kWidth = 620;
constexpr double kHeight = 420;
constexpr double kLegendLine = 18;
/// Told apart by those who see colours differently, too (Okabe and Ito).
constexpr const char* kColours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};

/// From what is shown to where it is shown.
struct Axis {
  double least = 1;
  double most = 1;
  double from = 0;
  double to = 0;
  double at(double value) const { return from + (to - from) * std::log(value / least) / std::log(most / least); }
};

std::string escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text, const char* more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     escape(text));
}

std::string line_at(double x1, double y1, double x2, double y2, const std::string& style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
}

/// The powers of 2 around all values.
Axis x_axis(double least, double most) {
  Axis axis{std::exp2(std::floor(std::log2(least))), std::exp2(std::ceil(std::log2(most))), kLeft, kLeft + kWidth};
  if (axis.most <= axis.least) axis.most = 2 * axis.least;
  return axis;
}

/// 1, 2 or 5 times a power of 10. `steps`: how many of them from 1.
double round_number(int steps) {
  constexpr double kMantissas[] = {1, 2, 5};
  const int exponent = static_cast<int>(std::floor(steps / 3.0));
  return kMantissas[steps - 3 * exponent] * std::pow(10.0, exponent);
}

int steps_below(double value) {
  int steps = 3 * (static_cast<int>(std::floor(std::log10(value))) + 1);
  while (round_number(steps) > value) --steps;
  return steps;
}

/// The second time that a colour comes its line is dotted, the third time wide.
std::string style_of(const ChartLine& line, std::size_t index) {
  const std::size_t round = index / std::size(kColours);
  const char* const dashes = line.dashed ? " stroke-dasharray=\"6 4\"" : round == 1 ? " stroke-dasharray=\"2 3\"" : "";
  return fmt::format("stroke=\"{}\" stroke-width=\"{}\"{}", kColours[index % std::size(kColours)], round > 1 ? 4 : 2,
                     dashes);
}

}  // namespace

std::string to_svg(const LineChart& chart) {
  double least_x = std::numeric_limits<double>::max();
  double least_y = least_x;
  double most_x = 0;
  double most_y = 0;
  for (const ChartLine& line : chart.lines) {
    for (const auto& [x, y] : line.points) {
      least_x = std::min(least_x, x);
      most_x = std::max(most_x, x);
      least_y = std::min(least_y, y);
      most_y = std::max(most_y, y);
    }
  }
  if (most_x == 0) least_x = most_x = least_y = most_y = 1;  // nothing to show
  const Axis x = x_axis(least_x, most_x);
  const int first_tick = steps_below(least_y);
  int last_tick = first_tick + 1;
  while (round_number(last_tick) < most_y) ++last_tick;
  const Axis y{round_number(first_tick), round_number(last_tick), kTop + kHeight, kTop};

  const double legend_top = kTop + kHeight + 60;
  const double height = legend_top + kLegendLine * static_cast<double>(chart.lines.size()) + 10;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      kLeft + kWidth + 30, height);
  svg += text_at(kLeft + kWidth / 2, kTop - 16, "middle", chart.title, " font-size=\"14\"");
  const std::string grid = "stroke=\"#ccc\"";
  for (double tick = x.least; tick <= x.most; tick *= 2) {
    svg += line_at(x.at(tick), kTop, x.at(tick), kTop + kHeight, grid);
    svg += text_at(x.at(tick), kTop + kHeight + 18, "middle", fmt::format("{:g}", tick));
  }
  for (int tick = first_tick; tick <= last_tick; ++tick) {
    const double value = round_number(tick);
    svg += line_at(kLeft, y.at(value), kLeft + kWidth, y.at(value), grid);
    svg += text_at(kLeft - 8, y.at(value) + 4, "end", fmt::format("{:g}", value));
  }
  svg += text_at(kLeft + kWidth / 2, kTop + kHeight + 38, "middle", chart.x_label);
  const double middle = kTop + kHeight / 2;
  svg +=
      text_at(18, middle, "middle", chart.y_label, fmt::format(" transform=\"rotate(-90 18 {:.1f})\"", middle).c_str());

  for (std::size_t i = 0; i < chart.lines.size(); ++i) {
    const ChartLine& line = chart.lines[i];
    const std::string style = style_of(line, i);
    std::string points;
    for (const auto& [at_x, at_y] : line.points) points += fmt::format("{:.1f},{:.1f} ", x.at(at_x), y.at(at_y));
    svg += fmt::format("<polyline points=\"{}\" fill=\"none\" {}/>\n", points, style);
    const double at = legend_top + kLegendLine * static_cast<double>(i);
    svg += line_at(kLeft, at - 4, kLeft + 30, at - 4, style);
    svg += text_at(kLeft + 38, at, "start", line.name);
  }
  return svg + "</svg>\n";
}

}  // namespace allnorm::tools
