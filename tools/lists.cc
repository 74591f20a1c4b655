#include "lists.h"

#include <unordered_set>

namespace allnorm::tools {
namespace {

struct Range {
  std::int64_t first;
  std::int64_t last;
  std::int64_t step;
};

/// Of what is no number, the text as it was given is what the message shows.
Range parse_range(const std::string& flag, const std::string& item, int least, int most) {
  const std::size_t dash = item.find('-', 1);
  const auto number = [&](const std::string& text, std::int64_t from) {
    try {
      return parse_integer(flag, text, from, most);
    } catch (const UsageError&) {
      refuse(flag, "\"" + item + "\"",
             fmt::format("whole numbers from {} to {}, and ranges of them such as {}-{} or {}-{}:2", least, most, least,
                         most, least, most));
    }
  };
  if (dash == std::string::npos) {
    const std::int64_t value = number(item, least);
    return {value, value, 1};
  }
  const std::size_t colon = item.find(':', dash);
  const std::int64_t first = number(item.substr(0, dash), least);
  const std::int64_t last = number(item.substr(dash + 1, colon == std::string::npos ? colon : colon - dash - 1), least);
  const std::int64_t step = colon == std::string::npos ? 1 : number(item.substr(colon + 1), 1);
  if (last < first) refuse(flag, "\"" + item + "\"", fmt::format("the smaller number first: {}-{}", last, first));
  return {first, last, step};
}

}  // namespace

std::vector<std::string> split_list(const std::string& flag, const std::string& joined) {
  std::string text = joined;
  std::replace(text.begin(), text.end(), '\n', ',');
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin) refuse(flag, "\"" + text + "\"", "values with a comma between two of them");
    items.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return items;
}

std::vector<int> parse_integers(const std::string& flag, const std::string& text, int least, int most) {
  std::vector<int> values;
  std::unordered_set<int> known;
  for (const std::string& item : split_list(flag, text)) {
    const Range range = parse_range(flag, item, least, most);
    for (std::int64_t value = range.first; value <= range.last; value += range.step) {
      const auto each = static_cast<int>(value);
      if (known.insert(each).second) values.push_back(each);
    }
  }
  return values;
}

CLI::Option* add_integers(CLI::App& app, const std::string& flag, std::vector<int>& values, int least, int most,
                          const std::string& help) {
  const auto set = [&values, flag, least, most](const std::string& text) {
    values = parse_integers(flag, text, least, most);
  };
  return app.add_option_function<std::string>(flag, set, fmt::format("{} ({} to {})", help, least, most))
      ->type_name("LIST")
      ->join();
}

}  // namespace allnorm::tools
