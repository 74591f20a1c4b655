// Options whose errors name the flag, what was given and what is allowed.
//
// The variables must outlive the parsing; a variable keeps its value, the default, where its flag
// is not given.
#ifndef ALLNORM_TOOLS_OPTIONS_H_
#define ALLNORM_TOOLS_OPTIONS_H_

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "command.h"
#include "dispatch/names.h"

namespace allnorm::tools {

/// Throws UsageError unless `text` is a whole number in the range.
std::int64_t parse_integer(const std::string& flag, const std::string& text, std::int64_t least, std::int64_t most);

/// `help` gets the range appended.
template <typename Integer>
CLI::Option* add_integer(CLI::App& app, const std::string& flag, Integer& value, std::int64_t least, std::int64_t most,
                         const std::string& help) {
  const auto set = [&value, flag, least, most](const std::string& text) {
    value = static_cast<Integer>(parse_integer(flag, text, least, most));
  };
  return app.add_option_function<std::string>(flag, set, fmt::format("{} ({} to {})", help, least, most))
      ->type_name("N");
}

template <typename Enum, std::size_t kCount>
Enum parse_name(const std::string& flag, const std::string& text, const std::array<Enum, kCount>& allowed) {
  const std::optional<Enum> found = find_name(text, allowed);
  if (!found) refuse(flag, "\"" + text + "\"", list_names(allowed));
  return *found;
}

/// `Value` is the Enum or an optional of it. `help` gets the allowed names appended.
template <typename Value, typename Enum, std::size_t kCount>
CLI::Option* add_name(CLI::App& app, const std::string& flag, Value& value, const std::array<Enum, kCount>& allowed,
                      const std::string& help) {
  const auto set = [&value, flag, allowed](const std::string& text) { value = parse_name(flag, text, allowed); };
  return app.add_option_function<std::string>(flag, set, help + ": " + list_names(allowed))->type_name("NAME");
}

/// "off", "early" or "late", of the flag --pdl. Throws UsageError.
Pdl parse_pdl_flag(const std::string& text);

/// What the help text says below the options: more about the command, exit codes, examples.
void add_notes(CLI::App& app, const std::string& text);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_OPTIONS_H_
