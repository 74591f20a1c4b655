// Lines over two logarithmic axes, as SVG.
#ifndef ALLNORM_TOOLS_LINE_CHART_H_
#define ALLNORM_TOOLS_LINE_CHART_H_

#include <string>
#include <utility>
#include <vector>

namespace allnorm::tools {

struct ChartLine {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< Positive; ascending in x.
  bool dashed = false;
};

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<ChartLine> lines;
};

/// A file of its own, with a legend. x has a tick at each power of 2, y at 1, 2 and 5 times each power of 10.
std::string to_svg(const LineChart& chart);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_LINE_CHART_H_
