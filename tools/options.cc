#include "options.h"

#include <fmt/format.h>

#include <charconv>

namespace allnorm::tools {

void refuse(const std::string& flag, const std::string& given, const std::string& allowed) {
  throw UsageError(fmt::format("{}: {} given, allowed: {}", flag, given, allowed));
}

std::int64_t parse_integer(const std::string& flag, const std::string& text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < least || value > most) {
    refuse(flag, "\"" + text + "\"", fmt::format("whole numbers from {} to {}", least, most));
  }
  return value;
}

Pdl parse_pdl_flag(const std::string& text) {
  if (text == "off") return Pdl::kOff;
  if (text == "early") return Pdl::kEarlyTrigger;
  if (text == "late") return Pdl::kLateTrigger;
  refuse("--pdl", "\"" + text + "\"", "off, early, late");
}

void add_notes(CLI::App& app, const std::string& text) { app.footer(text); }

}  // namespace allnorm::tools
