#include "text.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace allnorm::tools {
namespace {

constexpr std::size_t kGap = 2;  // blanks between columns

/// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    std::size_t end = text.rfind(' ', width);
    if (end == std::string_view::npos || end == 0) end = text.find(' ');
    if (end == std::string_view::npos) break;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  lines.emplace_back(text);
  return lines;
}

std::string TextTable::to_string() const {
  std::vector<std::size_t> widths(columns_.size(), 0);
  std::vector<std::vector<std::vector<std::string>>> wrapped;
  for (const auto& row : rows_) {
    auto& cells = wrapped.emplace_back();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const bool last = std::all_of(row.begin() + static_cast<std::ptrdiff_t>(c) + 1, row.end(),
                                    [](const std::string& cell) { return cell.empty(); });
      std::size_t limit = columns_[c].limit;
      if (last) {
        for (std::size_t after = c + 1; after < columns_.size(); ++after) limit += columns_[after].limit + kGap;
      }
      cells.push_back(columns_[c].limit == 0 ? std::vector{row[c]} : wrap(row[c], limit));
      if (last && c + 1 < columns_.size()) continue;  // does not widen its column
      for (const std::string& line : cells.back()) widths[c] = std::max(widths[c], line.size());
    }
  }
  std::string out;
  for (const auto& cells : wrapped) {
    std::size_t height = 0;
    for (const auto& cell : cells) height = std::max(height, cell.size());
    for (std::size_t l = 0; l < height; ++l) {
      std::string line;
      for (std::size_t c = 0; c < cells.size(); ++c) {
        const std::string_view part = l < cells[c].size() ? cells[c][l] : std::string_view();
        if (c > 0) line.append(kGap, ' ');
        line += columns_[c].alignment == 'r' ? fmt::format("{:>{}}", part, widths[c])
                                             : fmt::format("{:<{}}", part, widths[c]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
  }
  return out;
}

std::size_t output_width() {
  constexpr std::size_t kOtherwise = 120;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kOtherwise;
  return size.ws_col;
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string nearest(std::string_view given, std::span<const std::string> names) {
  std::string best;
  std::size_t least = std::max<std::size_t>(1, given.size() / 4) + 1;
  for (const std::string& name : names) {
    const std::size_t d = distance(given, name);
    if (d >= least) continue;
    least = d;
    best = name;
  }
  return best;
}

std::pair<std::string, std::string> split_advice(const std::string& message) {
  const std::size_t at = message.rfind("; ");
  if (at == std::string::npos) return {message, ""};
  return {message.substr(0, at), message.substr(at + 2)};
}

}  // namespace allnorm::tools
