#include <stdlib.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "catch.h"
#include "dispatch/table_search.h"
#include "error_of.h"
#include "table_text.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

namespace fs = std::filesystem;

/// A folder of its own for each test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "allnorm_tables_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }

 private:
  fs::path path_;
};

const std::string kDevice = "NVIDIA H200";

std::string made_by(const std::string& tool) { return table_with("by hand", tool); }
std::string for_device(const std::string& device) { return table_with("NVIDIA H200", device); }

/// A table of one bf16 fp8 entry with one bound.
std::string own_entry(int world_size, int hidden_dim, const std::string& max_tokens) {
  std::string text = kTableText;
  return text.replace(text.find("\"entries\""), std::string::npos,
                      R"("entries": [{"world_size": )" + std::to_string(world_size) +
                          R"(, "dtype": "bf16", "quant": "fp8", "transport": "unicast", "hidden_dim": )" +
                          std::to_string(hidden_dim) + R"(, "bounds": [{"max_tokens": )" + max_tokens +
                          R"(, "strategy": "one_shot", "microseconds": 1,
      "geometry": {"ctas_per_row": 8, "warps_per_cta": 32, "chunks_per_warp": 1}}]}]})");
}

FoundTable find(const TablePlaces& places) { return find_table(places, kDevice, "d1"); }

const Table& table_of(const FoundTable& found) {
  if (!found.table) throw std::runtime_error("no table was found");
  return *found.table;
}

std::string tool_of(const FoundTable& found) { return found.table ? found.table->provenance().tool : "none"; }

}  // namespace

TEST_CASE("without any table none is found, and nothing is said", "[table_search]") {
  const Folder folder;
  for (const std::string& place : {std::string(), folder.path(), folder.path("missing")}) {
    TablePlaces places;
    places.user_folder = place;
    const FoundTable found = find(places);
    CHECK_FALSE(found.table);
    CHECK(found.source().empty());
    CHECK(found.warnings.empty());
    CHECK(found.notes.empty());
  }
}

TEST_CASE("the option comes before the environment, the folder and what is built in", "[table_search]") {
  const Folder folder;
  const std::string built_in = made_by("built_in");
  const std::array embedded = {EmbeddedFile{"h200.json", built_in}};
  TablePlaces places;
  places.embedded = embedded;
  CHECK(tool_of(find(places)) == "built_in");
  CHECK(find(places).source() == "built in: h200.json");

  fs::create_directory(folder.path("user"));
  places.user_folder = folder.path("user");
  folder.write("user/b.json", made_by("b"));
  folder.write("user/a.json", made_by("a"));
  folder.write("user/0.json.bak", made_by("backup"));
  CHECK(tool_of(find(places)) == "a");
  CHECK(find(places).source() == folder.path("user/a.json"));

  places.environment_path = folder.write("environment", made_by("environment"));
  CHECK(tool_of(find(places)) == "environment");
  CHECK(find(places).source() == folder.path("environment") + " (ALLNORM_TABLE)");

  places.option_path = folder.write("option", made_by("option"));
  CHECK(tool_of(find(places)) == "option");
  CHECK(find(places).source() == folder.path("option"));
  CHECK(find(places).warnings.empty());
}

TEST_CASE("a named file that is missing, no file or broken is an error", "[table_search]") {
  const Folder folder;
  const auto refusal = [](const std::string& path) {
    const std::string message = error_of(ErrorCode::kInvalidTable, [&] {
      TablePlaces places;
      places.option_path = path;
      find(places);
    });
    CHECK(message == error_of(ErrorCode::kInvalidTable, [&] {
            TablePlaces places;
            places.environment_path = path;
            find(places);
          }));
    return message;
  };
  CHECK(refusal(folder.path("missing.json")) == folder.path("missing.json") + ": no such file");
  CHECK(refusal(folder.path()) == folder.path() + ": not a regular file");
  REQUIRE(mkfifo(folder.path("pipe").c_str(), 0600) == 0);
  CHECK(refusal(folder.path("pipe")) == folder.path("pipe") + ": not a regular file");
  const std::string broken = folder.write("broken", table_with("\"schema\": 1", "\"schema\": 7"));
  CHECK(refusal(broken) == broken + ":2: schema: 7 given, allowed: a whole number from 1 to 1");
  const std::string huge = folder.write("huge", std::string(5 << 20, ' '));
  CHECK(refusal(huge) == huge + ": 4194305 bytes given, allowed: up to 4194304");
}

TEST_CASE("a broken file in the user's folder is skipped with a warning", "[table_search]") {
  const Folder folder;
  folder.write("a.json", table_with("\"two_shot\"", "\"three_shot\""));
  fs::create_directory(folder.path("b.json"));
  folder.write("c.json", made_by("c"));
  TablePlaces places;
  places.user_folder = folder.path();
  const FoundTable found = find(places);
  CHECK(tool_of(found) == "c");
  REQUIRE(found.warnings.size() == 2);
  CHECK(found.warnings[0] ==
        "table skipped: " + folder.path("a.json") +
            ":12: entries[0].bounds[1].strategy: \"three_shot\" given, allowed: one_shot, two_shot");
  CHECK(found.warnings[1] == "table skipped: " + folder.path("b.json") + ": not a regular file");
}

TEST_CASE("a user's folder that is a file is a warning", "[table_search]") {
  const Folder folder;
  TablePlaces places;
  places.user_folder = folder.write("file", "");
  const FoundTable found = find(places);
  REQUIRE(found.warnings.size() == 1);
  CHECK(found.warnings[0] == folder.path("file") + ": tables cannot be listed: Not a directory");
}

TEST_CASE("a table for another device is not used", "[table_search]") {
  const Folder folder;
  const std::string named = folder.write("named", for_device("NVIDIA B200"));
  TablePlaces places;
  places.option_path = named;
  FoundTable found = find(places);
  CHECK_FALSE(found.table);
  REQUIRE(found.warnings.size() == 1);
  CHECK(found.warnings[0] == named + ": not used, as it is for NVIDIA B200 and this GPU is NVIDIA H200");

  // The search goes on, and a folder for several machines is nothing to warn about.
  folder.write("a.json", for_device("NVIDIA H100"));
  folder.write("b.json", made_by("b"));
  places.user_folder = folder.path();
  found = find(places);
  CHECK(tool_of(found) == "b");
  CHECK(found.warnings.size() == 1);
  REQUIRE(found.notes.size() == 1);
  CHECK(found.notes[0] == folder.path("a.json") + ": not used, as it is for NVIDIA H100 and this GPU is NVIDIA H200");
}

TEST_CASE("a table of one entry does not hide the other entries of the tables after it", "[table_search]") {
  const Folder folder;
  const std::array embedded = {EmbeddedFile{"h200.json", kTableText}};
  TablePlaces places;
  places.embedded = embedded;
  places.user_folder = folder.path();
  folder.write("a.json", own_entry(2, 4096, "null"));
  FoundTable found = find(places);
  REQUIRE(found.table);
  CHECK(table_of(found).entry_count() == 3);
  CHECK(found.source() == folder.path("a.json") + ", built in: h200.json");
  REQUIRE(found.sources.size() == 2);
  CHECK(found.sources[0].entries == 1);
  CHECK(found.sources[1].entries == 2);

  // For the same calls the first one counts, as far as it goes.
  const TableKey key = {Operation::kFused, Transport::kUnicast, Quant::kFp8, DataType::kBF16, 2, 7168};
  folder.write("a.json", own_entry(2, 7168, "null"));
  found = find(places);
  CHECK(table_of(found).lookup(key).size() == 1);
  CHECK(found.sources[1].entries == 1);
  folder.write("a.json", own_entry(2, 7168, "64"));
  found = find(places);
  const auto bounds = table_of(found).lookup(key);
  REQUIRE(bounds.size() == 3);
  CHECK(bounds[0].max_tokens == 64);
  CHECK(bounds[0].microseconds == 1);
  CHECK(bounds[1].max_tokens == 256);
  CHECK(bounds[1].microseconds == 14);
  CHECK(found.sources[1].entries == 2);
  CHECK(found.warnings.empty());
}

TEST_CASE("a table for these kernels comes before one for others, unless that was named", "[table_search]") {
  const Folder folder;
  const std::array embedded = {EmbeddedFile{"h200.json", kTableText}};
  TablePlaces places;
  places.embedded = embedded;
  places.user_folder = folder.path();
  const std::string stale = table_with("\"d1\"", "\"d0\"");
  const std::string path = folder.write("a.json", stale);
  FoundTable found = find(places);
  CHECK(found.source() == "built in: h200.json");
  CHECK(found.warnings.empty());
  REQUIRE(found.notes.size() == 1);
  CHECK(found.notes[0] == path + ": not used, as others before it have all of its entries");

  // What nobody else has is better than nothing.
  std::string more = stale;
  more.replace(more.find("7168"), 4, "4096");
  folder.write("a.json", more);
  found = find(places);
  CHECK(table_of(found).entry_count() == 3);
  CHECK(found.source() == "built in: h200.json, " + path);
  REQUIRE(found.warnings.size() == 1);
  CHECK(found.warnings[0].starts_with(path + ": made on 2026-11-23 for other kernels"));

  places.environment_path = folder.write("named", stale);
  found = find(places);
  CHECK(found.sources.front().words == places.environment_path + " (ALLNORM_TABLE)");
  CHECK(table_of(found).provenance().kernel_digest == "d0");
}

TEST_CASE("a table made for other kernels is used with a warning", "[table_search]") {
  const std::string text = table_with("\"d1\"", "\"d0\"");
  const std::array embedded = {EmbeddedFile{"h200.json", text}};
  TablePlaces places;
  places.embedded = embedded;
  const FoundTable found = find(places);
  CHECK(found.table);
  REQUIRE(found.warnings.size() == 1);
  CHECK(found.warnings[0] ==
        "h200.json: made on 2026-11-23 for other kernels (digest d0, now d1); it is used, but may "
        "not be the best; run 'allnorm tune'");
}
