#include "key_difference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace allnorm::tools {
namespace {

using Fields = cache::Key::Fields;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (!word.empty()) words.emplace_back(word);
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  return words;
}

/// The fields, with the Spec's words as fields of their own. Its target is a field already.
Fields spread(const Fields& fields) {
  Fields flat;
  for (const auto& [name, value] : fields) {
    if (name != "spec") {
      flat.emplace_back(name, value);
      continue;
    }
    for (const std::string& word : words_of(value)) {
      const std::size_t sign = std::min(word.find('='), word.size());
      const std::string part = word.substr(0, sign);
      if (part != "target") flat.emplace_back("spec " + part, word.substr(std::min(sign + 1, word.size())));
    }
  }
  return flat;
}

const std::string* find(const Fields& fields, const std::string& name) {
  const auto at = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
  return at == fields.end() ? nullptr : &at->second;
}

const char* meaning_of(const std::string& field) {
  if (field == "schema") return "keys made in another way: another version";
  if (field == "library") return "another version of AllNorm";
  if (field == "target") return "another architecture";
  if (field == "options") return "other options of the compiler: another architecture or version";
  if (field == "sources") return "other kernel sources: another version, or ALLNORM_KERNEL_DIR";
  if (field == "compiler") return "another C++ compiler";
  return "";
}

/// Of two lists of words, those that the other does not have; all, where only the order differs.
std::string words_without(const std::string& from, const std::string& without) {
  const std::vector<std::string> others = words_of(without);
  std::vector<std::string> words = words_of(from);
  std::erase_if(words, [&](const auto& word) { return std::find(others.begin(), others.end(), word) != others.end(); });
  return fmt::format("{}", fmt::join(words, " "));
}

FieldDifference differ(const std::string& name, const std::string& here, const std::string& there) {
  FieldDifference difference{name, here, there, meaning_of(name)};
  if (name != "options") return difference;
  const std::string here_alone = words_without(here, there);
  const std::string there_alone = words_without(there, here);
  if (here_alone.empty() && there_alone.empty()) return difference;
  difference.here = here_alone;
  difference.there = there_alone;
  return difference;
}

/// Of digests, as many digits as tell them apart.
std::string shorten(const std::string& value, const std::string& other) {
  constexpr std::size_t kDigits = 4;
  if (!cache::is_key(value)) return value.empty() ? "nothing" : value;
  std::size_t same = 0;
  while (same < std::min(value.size(), other.size()) && value[same] == other[same]) same++;
  return value.substr(0, std::max(kDigits, same + 1)) + "..";
}

}  // namespace

std::string FieldDifference::to_string() const {
  return fmt::format("{}: {} here, {} there{}", field, shorten(here, there), shorten(there, here),
                     meaning.empty() ? "" : fmt::format(" ({})", meaning));
}

std::vector<FieldDifference> differences(const Fields& here, const Fields& there) {
  const Fields ours = spread(here);
  const Fields theirs = spread(there);
  std::vector<FieldDifference> list;
  for (const auto& [name, value] : ours) {
    const std::string* other = find(theirs, name);
    if (other == nullptr) {
      list.push_back({name, value, "", "known to one of the two alone: another version"});
    } else if (*other != value) {
      list.push_back(differ(name, value, *other));
    }
  }
  for (const auto& [name, value] : theirs) {
    if (find(ours, name) == nullptr)
      list.push_back({name, "", value, "known to one of the two alone: another version"});
  }
  return list;
}

}  // namespace allnorm::tools
