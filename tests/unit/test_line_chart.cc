// Charts: what a reader sees is in the file, at its place, and nothing is outside the frame.
#include <regex>
#include <set>

#include "catch.h"
#include "tools/line_chart.h"

using namespace allnorm::tools;

namespace {

LineChart chart_of(std::vector<ChartLine> lines) { return {"Time", "tokens", "us", std::move(lines)}; }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a chart has its lines, axes and legend", "[line_chart]") {
  const std::string svg =
      to_svg(chart_of({{"a < b & c", {{1, 2.5}, {64, 40}}, false}, {"floor", {{1, 1}, {64, 20}}, true}}));
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(svg.ends_with("</svg>\n"));
  for (const char* text : {"Time", "tokens", "us", "a &lt; b &amp; c", "floor"}) {
    CHECK(contains(svg, std::string(">") + text + "</text>"));
  }
  for (const char* tick : {">1</text>", ">2</text>", ">64</text>", ">50</text>", ">5</text>"})
    CHECK(contains(svg, tick));
  CHECK_FALSE(contains(svg, ">128</text>"));
  CHECK_FALSE(contains(svg, ">100</text>"));
  CHECK(contains(svg, "stroke-dasharray"));
  // The floor's corners are the frame's: 1 is the least of both axes, 64 the most of x.
  CHECK(contains(svg, "<polyline points=\"70.0,460.0 690.0,"));
}

TEST_CASE("more lines than colours still look different", "[line_chart]") {
  std::vector<ChartLine> lines;
  for (int i = 0; i < 20; i++) lines.push_back({"x", {{1, 1}, {2, 2}}, false});
  const std::string svg = to_svg(chart_of(lines));
  std::set<std::string> styles;
  const std::regex style("<polyline [^>]*(stroke=[^>]*)/>");
  for (auto it = std::sregex_iterator(svg.begin(), svg.end(), style); it != std::sregex_iterator(); ++it) {
    styles.insert((*it)[1]);
  }
  CHECK(styles.size() == lines.size());
}

TEST_CASE("points lie within the frame, whatever they are", "[line_chart]") {
  const std::vector<std::pair<double, double>> lists[] = {
      {{1, 1}, {2, 3}}, {{3, 0.0004}}, {{48, 99.9}, {4096, 1e6}}, {{1, 1000}, {1, 1000}}, {{65536, 0.3}}, {}};
  for (const auto& points : lists) {
    const std::string svg = to_svg(chart_of({{"x", points, false}}));
    CHECK_FALSE(contains(svg, "nan"));
    CHECK_FALSE(contains(svg, "inf"));
    std::smatch line;
    REQUIRE(std::regex_search(svg, line, std::regex("points=\"([^\"]*)\"")));
    const std::string pairs = line[1];
    const std::regex pair("([0-9.-]+),([0-9.-]+) ");
    std::size_t count = 0;
    for (auto it = std::sregex_iterator(pairs.begin(), pairs.end(), pair); it != std::sregex_iterator();
         ++it, ++count) {
      CHECK(std::stod((*it)[1]) >= 70);
      CHECK(std::stod((*it)[1]) <= 690);
      CHECK(std::stod((*it)[2]) >= 40);
      CHECK(std::stod((*it)[2]) <= 460);
    }
    CHECK(count == points.size());
  }
}
