#include "cache/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <tuple>

#include "cache/file_system.h"
#include "cache/key.h"
#include "cache/listing.h"

namespace allnorm::cache {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "allnorm manifest";
constexpr int kManifestSchema = 1;
/// Deeper nesting than any manifest has; the parser recurses when it destroys values.
constexpr int kMaxDepth = 16;

auto place(const ManifestEntry& entry) { return std::tie(entry.target, entry.key); }

/// Why a text is no manifest.
struct Refusal {
  std::string reason;
};

/// A field given twice, or nesting without end, would pass the parser.
Json parse_strictly(std::string_view text) {
  std::vector<std::set<std::string>> fields;
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) throw Refusal{"it is nested too deeply"};
    if (event == Json::parse_event_t::object_start) fields.emplace_back();
    if (event == Json::parse_event_t::object_end) fields.pop_back();
    if (event == Json::parse_event_t::key && !fields.back().insert(value.get<std::string>()).second) {
      throw Refusal{"a field is given twice: " + value.get<std::string>()};
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::exception& error) {
    throw Refusal{error.what()};
  }
}

void check_fields(const Json& object, const char* what, std::initializer_list<const char*> names) {
  if (!object.is_object()) throw Refusal{std::string(what) + " is not an object"};
  for (const char* name : names) {
    if (!object.contains(name)) throw Refusal{std::string(what) + " has no \"" + name + "\""};
  }
  if (object.size() != names.size()) throw Refusal{std::string(what) + " has a field that is not known"};
}

std::string text_field(const Json& object, const char* name) {
  const Json& value = object[name];
  if (!value.is_string()) throw Refusal{std::string("\"") + name + "\" is not text"};
  return value.get<std::string>();
}

ManifestEntry parse_entry(const Json& object) {
  check_fields(object, "an entry", {"target", "key", "bytes", "sha256", "spec"});
  ManifestEntry entry{text_field(object, "target"), text_field(object, "key"), 0, text_field(object, "sha256"), {}};
  if (!is_target(entry.target)) throw Refusal{"\"target\" is not a name of a target"};
  if (!is_key(entry.key) || !is_key(entry.sha256)) throw Refusal{"\"key\" or \"sha256\" is not 64 hexadecimal digits"};
  const Json& bytes = object["bytes"];
  if (!bytes.is_number_unsigned() || bytes.get<std::uint64_t>() > std::uint64_t{FileSystem::kMaxFileBytes}) {
    throw Refusal{"\"bytes\" is not the size of a file"};
  }
  entry.bytes = bytes.get<std::int64_t>();
  if (!object["spec"].is_object()) throw Refusal{"\"spec\" is not an object"};
  entry.spec = object["spec"].dump();
  return entry;
}

}  // namespace

const ManifestEntry* Manifest::find(std::string_view target, std::string_view key) const noexcept {
  const auto at = std::lower_bound(entries.begin(), entries.end(), std::tie(target, key),
                                   [](const ManifestEntry& entry, const auto& sought) {
                                     return std::tuple<std::string_view, std::string_view>(place(entry)) < sought;
                                   });
  return at != entries.end() && at->target == target && at->key == key ? &*at : nullptr;
}

std::string to_json(Manifest manifest) {
  std::sort(manifest.entries.begin(), manifest.entries.end(),
            [](const ManifestEntry& a, const ManifestEntry& b) { return place(a) < place(b); });
  Json json = {{"format", kFormat}, {"schema", kManifestSchema}, {"library", manifest.library}};
  json["entries"] = Json::array();
  for (const ManifestEntry& entry : manifest.entries) {
    Json spec = Json::parse(entry.spec, nullptr, false);
    if (!spec.is_object()) throw std::invalid_argument("a manifest's spec must be a JSON object: " + entry.spec);
    json["entries"].push_back({{"target", entry.target},
                               {"key", entry.key},
                               {"bytes", entry.bytes},
                               {"sha256", entry.sha256},
                               {"spec", std::move(spec)}});
  }
  return json.dump(1) + "\n";
}

std::optional<Manifest> parse_manifest(std::string_view text, std::string& reason) try {
  const Json json = parse_strictly(text);
  check_fields(json, "the manifest", {"format", "schema", "library", "entries"});
  if (json["format"] != kFormat) throw Refusal{"it is not a manifest of AllNorm"};
  if (json["schema"] != kManifestSchema) throw Refusal{"another schema: " + json["schema"].dump()};
  Manifest manifest{text_field(json, "library"), {}};
  if (!json["entries"].is_array()) throw Refusal{"\"entries\" is not a list"};
  for (const Json& entry : json["entries"]) manifest.entries.push_back(parse_entry(entry));
  std::sort(manifest.entries.begin(), manifest.entries.end(),
            [](const ManifestEntry& a, const ManifestEntry& b) { return place(a) < place(b); });
  const auto twice =
      std::adjacent_find(manifest.entries.begin(), manifest.entries.end(),
                         [](const ManifestEntry& a, const ManifestEntry& b) { return place(a) == place(b); });
  if (twice != manifest.entries.end()) throw Refusal{"an entry is given twice: " + twice->key};
  return manifest;
} catch (const Refusal& refusal) {
  reason = refusal.reason;
  return std::nullopt;
}

}  // namespace allnorm::cache
