// Values of flags that take several: "bf16,f16", "2,4,8", "2-8", "2-72:2".
//
// Each value is given back once, in the order of the text. What is wrong throws UsageError, naming the flag.
#ifndef ALLNORM_TOOLS_LISTS_H_
#define ALLNORM_TOOLS_LISTS_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "options.h"

namespace allnorm::tools {

/// The texts between the commas, none of which may be empty. A newline, which the parser joins the values of repeated
/// flags with, is a comma.
std::vector<std::string> split_list(const std::string& flag, const std::string& text);

/// Numbers and ranges of them, "first-last" or "first-last:step"; both ends are meant.
std::vector<int> parse_integers(const std::string& flag, const std::string& text, int least, int most);

template <typename Parse>
auto parse_list(const std::string& flag, const std::string& text, Parse&& parse) {
  std::vector<decltype(parse(text))> values;
  for (const std::string& item : split_list(flag, text)) {
    const auto value = parse(item);
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }
  return values;
}

/// Given more than once, the lists of a flag are joined.
template <typename Value, typename Parse>
CLI::Option* add_list(CLI::App& app, const std::string& flags, std::vector<Value>& values, const Parse& parse,
                      const std::string& help) {
  const std::string flag = flags.substr(0, flags.find(','));
  const auto set = [&values, flag, parse](const std::string& text) { values = parse_list(flag, text, parse); };
  return app.add_option_function<std::string>(flags, set, help)->type_name("LIST")->join();
}

template <typename Enum, std::size_t kCount>
CLI::Option* add_names(CLI::App& app, const std::string& flags, std::vector<Enum>& values,
                       const std::array<Enum, kCount>& allowed, const std::string& help) {
  const std::string flag = flags.substr(0, flags.find(','));
  const auto parse = [flag, allowed](const std::string& item) { return parse_name(flag, item, allowed); };
  return add_list(app, flags, values, parse, help + ": " + list_names(allowed));
}

/// `help` gets the range appended.
CLI::Option* add_integers(CLI::App& app, const std::string& flag, std::vector<int>& values, int least, int most,
                          const std::string& help);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_LISTS_H_
