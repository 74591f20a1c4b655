// Text for people: aligned tables, wrapped columns, sizes, and the name that was probably meant.
#ifndef ALLNORM_TOOLS_TEXT_H_
#define ALLNORM_TOOLS_TEXT_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace allnorm::tools {

/// Rows of cells, printed with two blanks between columns. A cell that is longer than its column's
/// limit is continued below, broken at blanks; the last cell of a row that is not empty may use the room behind it.
class TextTable {
 public:
  struct Column {
    char alignment = 'l';   ///< 'l' or 'r'.
    std::size_t limit = 0;  ///< 0: as wide as its longest cell.
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// As many cells as there are columns.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string to_string() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::vector<std::string> wrap(std::string_view text, std::size_t width);

/// Columns of the terminal that stdout is, or 120 where it is none.
std::size_t output_width();

/// "139.8 GiB", "41.2 KiB", "512 bytes".
std::string format_bytes(std::uint64_t bytes);

/// Of `names`, the one closest to `given`; empty if none is close enough to be a slip of the hand.
std::string nearest(std::string_view given, std::span<const std::string> names);

/// Error messages say what is wrong and then, after the last "; ", what to do.
std::pair<std::string, std::string> split_advice(const std::string& message);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TEXT_H_
