#include "warm_files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <unordered_set>

#include "allnorm/error.h"
#include "command.h"
#include "dispatch/json_field.h"
#include "dispatch/spec_text.h"

namespace allnorm::tools {
namespace {

/// Manifests and records are written by programs: a Spec takes 25 values and 900 bytes at most.
constexpr JsonLimits kLimits = {256u << 20, 16u << 20};

std::string read_text(const std::string& flag, const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) {
    const std::string why = errno != 0 ? fmt::format(": {}", std::strerror(errno)) : "";
    throw UsageError(fmt::format("{}: \"{}\" cannot be read{}", flag, path, why));
  }
  return text;
}

/// A Spec that no kernel exists for is refused without a place in a file.
Spec read_spec(const JsonField& field, const std::string& path) {
  try {
    return parse_spec(field);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    throw UsageError(fmt::format("{}:{}: {}", path, field.line(), error.what()));
  }
}

/// The lines of a record as one JSON array of as many lines. Processes of one program record the same Specs.
std::string to_array(std::string_view text) {
  std::string array = "[";
  std::unordered_set<std::string_view> known;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos && known.insert(line).second) {
      if (known.size() > 1) array += ",";
      array += line;
    }
    array += "\n";
    begin = end + 1;
  }
  return array + "]";
}

bool is_manifest(const JsonNode& root) {
  if (root.kind != JsonNode::Kind::kObject) return false;
  for (const JsonNode& field : root.items) {
    if (field.key == "format" || field.key == "entries") return true;
  }
  return false;
}

/// The tree of a manifest; nothing if the text is something else.
std::optional<JsonNode> parse_as_manifest(const std::string& text, const std::string& path) {
  try {
    JsonNode root = parse_json(text, path, kLimits);
    if (is_manifest(root)) return root;
  } catch (const Error&) {
    // Several lines of a record are not one JSON text.
    if (text.find("\"entries\"") != std::string::npos) throw;
  }
  return std::nullopt;
}

}  // namespace

Table read_table(const std::string& flag, const std::string& path) {
  try {
    return Table::parse(read_text(flag, path), path);
  } catch (const Error& error) {
    throw UsageError(fmt::format("{}: {}", flag, error.what()));
  }
}

SpecsFile read_specs(const std::string& flag, const std::string& path) {
  const std::string text = read_text(flag, path);
  SpecsFile file;
  try {
    if (const auto tree = parse_as_manifest(text, path)) {
      std::string reason;
      file.manifest = cache::parse_manifest(text, reason);
      if (!file.manifest) throw UsageError(fmt::format("{}: {}", path, reason));
      const JsonField root(*tree, path);
      for (const JsonField& entry : root["entries"].items()) file.specs.push_back(read_spec(entry["spec"], path));
      return file;
    }
    const JsonNode array = parse_json(to_array(text), path, kLimits);
    for (const JsonField& item : JsonField(array, path).items()) file.specs.push_back(read_spec(item, path));
    return file;
  } catch (const Error& error) {
    throw UsageError(fmt::format("{}: {}", flag, error.what()));
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", flag, error.what()));
  }
}

}  // namespace allnorm::tools
