// The file that `allnorm tune` writes: what is in it, what is kept, what is refused.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "catch.h"
#include "table_text.h"
#include "tools/command.h"
#include "tools/tune_table.h"

using namespace allnorm;
using namespace allnorm::tools;
using allnorm::testing::kTableText;

namespace fs = std::filesystem;

namespace {

const Provenance kHere = {"NVIDIA H200", "580.95", "13.0", "d1", "2026-11-26", "allnorm tune 0.1"};
const TableKey kKey = {Operation::kFused, Transport::kUnicast, Quant::kNone, DataType::kF16, 4, 4096};
const std::vector<TableBound> kBounds = {{64, Strategy::kOneShot, {4, 4, 1}, 3.4567F},
                                         {TableBound::kNoLimit, Strategy::kTwoShot, {1, 16, 1}, 100}};

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "allnorm_tune_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

 private:
  std::string path_;
};

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

template <typename Call>
std::string usage_error_of(Call&& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what is written is what is read", "[tune]") {
  TableParts parts = parts_of(Table::parse(kTableText, "t.json"));
  parts.provenance = kHere;
  parts.entries[kKey] = kBounds;
  parts.unclear.insert(kKey);
  const Table table = Table::parse(to_json(parts), "again.json");
  CHECK(table.is_unclear(kKey));
  CHECK_FALSE(table.is_unclear(table.keys().front()));
  CHECK(table.entry_count() == 3);
  CHECK(table.provenance().device == "NVIDIA H200");
  CHECK(table.provenance().driver == "580.95");
  CHECK(table.provenance().nvrtc == "13.0");
  CHECK(table.provenance().kernel_digest == "d1");
  CHECK(table.provenance().date == "2026-11-26");
  CHECK(table.provenance().tool == "allnorm tune 0.1");
  const auto bounds = table.lookup(kKey);
  REQUIRE(bounds.size() == 2);
  CHECK(bounds[0].max_tokens == 64);
  CHECK(bounds[0].strategy == Strategy::kOneShot);
  CHECK(bounds[0].geometry == Geometry{4, 4, 1});
  CHECK(bounds[0].microseconds == 3.457F);  // a thousandth is more than enough
  CHECK(bounds[1].max_tokens == TableBound::kNoLimit);
  CHECK(bounds[1].strategy == Strategy::kTwoShot);
  CHECK(to_json(parts_of(table)) == to_json(parts));
}

TEST_CASE("an entry is in the file at once, beside those that were there", "[tune]") {
  const Folder folder;
  const std::string path = folder / "new/h200.json";
  TableFile file(path, kHere);
  CHECK_FALSE(file.has(kKey, 1));
  CHECK_FALSE(fs::exists(path));
  file.put(kKey, kBounds);
  CHECK(Table::parse(read(path), path).lookup(kKey).size() == 2);

  TableFile again(path, kHere);
  CHECK(again.has(kKey, 65536));
  CHECK(again.outdated() == 0);
  TableKey other = kKey;
  other.world_size = 8;
  CHECK_FALSE(again.has(other, 1));
  again.put(other, kBounds);
  CHECK(Table::parse(read(path), path).entry_count() == 2);
  again.put(kKey, {kBounds[1]});
  CHECK(Table::parse(read(path), path).lookup(kKey).size() == 1);
  CHECK(Table::parse(read(path), path).entry_count() == 2);
  CHECK(again.table().entry_count() == 2);
  CHECK(std::distance(fs::directory_iterator(folder / "new"), fs::directory_iterator()) == 1);  // nothing temporary
}

TEST_CASE("entries of other kernels are not kept among new ones, but aside", "[tune]") {
  const Folder folder;
  const std::string path = write(folder / "t.json", kTableText);
  Provenance here = kHere;
  here.kernel_digest = "d2";
  TableFile file(path, here);
  CHECK(file.outdated() == 2);
  CHECK(read(path) == kTableText);  // not before there is something better
  file.put(kKey, kBounds);
  CHECK(read(path + ".old") == kTableText);
  const Table table = Table::parse(read(path), path);
  CHECK(table.entry_count() == 1);
  CHECK(table.provenance().kernel_digest == "d2");
  CHECK(folder.files() == 2);
}

TEST_CASE("entries made with another NVRTC or major version of the driver are outdated", "[tune]") {
  const Folder folder;
  const std::string path = write(folder / "t.json", kTableText);
  const auto outdated = [&](const std::string& driver, const std::string& nvrtc) {
    Provenance here = kHere;
    here.driver = driver;
    here.nvrtc = nvrtc;
    return TableFile(path, here).outdated();
  };
  CHECK(outdated("580.95", "13.0") == 0);
  CHECK(outdated("580.126.09", "13.0") == 0);
  CHECK(outdated("590.10", "13.0") == 2);
  CHECK(outdated("580.95", "13.1") == 2);
}

TEST_CASE("a file that nothing is put into says what it said before", "[tune]") {
  const Folder folder;
  const std::string path = write(folder / "t.json", kTableText);
  Provenance here = kHere;
  here.driver = "580.126";
  TableFile file(path, here);
  CHECK(file.table().provenance().date == "2026-11-23");
  CHECK(file.table().provenance().driver == "580.95");
  file.put(kKey, kBounds);
  CHECK(file.table().provenance().date == "2026-11-26");
  CHECK(file.table().provenance().driver == "580.126");
}

TEST_CASE("an entry that ends below the tokens wanted, or was unclear, is measured again", "[tune]") {
  const Folder folder;
  const std::string path = folder / "t.json";
  TableFile(path, kHere).put(kKey, {kBounds[0]});
  CHECK(TableFile(path, kHere).has(kKey, 64));
  CHECK_FALSE(TableFile(path, kHere).has(kKey, 65));
  TableFile(path, kHere).put(kKey, kBounds, true);
  CHECK_FALSE(TableFile(path, kHere).has(kKey, 64));
  CHECK(Table::parse(read(path), path).is_unclear(kKey));
  TableFile(path, kHere).put(kKey, kBounds);
  CHECK(TableFile(path, kHere).has(kKey, 4096));
  // What was measured for fewer tokens does not take away what is known of more.
  TableFile(path, kHere).put(kKey, {{32, Strategy::kTwoShot, {4, 4, 1}, 3}});
  const Table table = Table::parse(read(path), path);
  const auto bounds = table.lookup(kKey);
  REQUIRE(bounds.size() == 3);
  CHECK(bounds[0].max_tokens == 32);
  CHECK(bounds[1].max_tokens == 64);
  CHECK(bounds[2].max_tokens == TableBound::kNoLimit);
}

TEST_CASE("runs that fill one file at once lose none of their entries", "[tune]") {
  const Folder folder;
  const std::string path = folder / "t.json";
  std::vector<std::thread> runs;
  for (int run = 0; run < 4; ++run) {
    runs.emplace_back([run, file = TableFile(path, kHere)]() mutable {
      for (int i = 0; i < 5; ++i) {
        TableKey key = kKey;
        key.world_size = 1 + 5 * run + i;
        file.put(key, kBounds);
      }
    });
  }
  for (std::thread& run : runs) run.join();
  CHECK(Table::parse(read(path), path).entry_count() == 20);
  CHECK(folder.files() == 1);
}

TEST_CASE("a file stays where it is until the new one can take its place", "[tune]") {
  const Folder folder;
  const std::string path = write(folder / "t.json", kTableText);
  Provenance here = kHere;
  here.kernel_digest = "d2";
  TableFile file(path, here);
  // The end of a run at the worst moment: nothing new could be written.
  const std::string in_the_way = path + "." + std::to_string(getpid()) + ".tmp";
  fs::create_directory(in_the_way);
  write(in_the_way + "/full", "");
  CHECK(usage_error_of([&] { file.put(kKey, kBounds); }).ends_with("cannot be written"));
  CHECK(read(path) == kTableText);
  fs::remove_all(in_the_way);
  file.put(kKey, kBounds);
  CHECK(read(path + ".old") == kTableText);
  CHECK(Table::parse(read(path), path).entry_count() == 1);
}

TEST_CASE("calls use a table if they get its entries, whatever else they find", "[tune]") {
  TableParts parts = parts_of(Table::parse(kTableText, "t.json"));
  const auto table = [&] { return Table::parse(to_json(parts), "t.json"); };
  const Table wanted = table();
  parts.provenance.date = "2026-12-24";
  parts.entries[kKey] = kBounds;
  CHECK(has_all_of(table(), wanted));
  CHECK_FALSE(has_all_of(wanted, table()));
  parts.entries.begin()->second.front().microseconds += 1;
  CHECK_FALSE(has_all_of(table(), wanted));
}

TEST_CASE("what is no table of this GPU is refused and left as it is", "[tune]") {
  const Folder folder;
  const std::string path = write(folder / "t.json", kTableText);
  Provenance here = kHere;
  here.device = "NVIDIA B200";
  CHECK(usage_error_of([&] { TableFile(path, here); }) == "--output: \"" + path +
                                                              "\", a table for NVIDIA H200, given, allowed: one for "
                                                              "NVIDIA B200, or a new file");
  write(path, "{}");
  CHECK(usage_error_of([&] { TableFile(path, kHere); }).starts_with("--output: "));
  CHECK(read(path) == "{}");
  CHECK(usage_error_of([&] { TableFile("/proc/no/t.json", kHere).check_writable(); }) ==
        "--output: \"/proc/no/t.json\" cannot be written; name a file in a folder that you may write to");
  const std::string directory = folder / "sub";
  fs::create_directory(directory);
  CHECK(usage_error_of([&] { TableFile(directory, kHere); }) ==
        "--output: \"" + directory + "\", no regular file, given, allowed: a file");
}

TEST_CASE("the default place is named after the GPU", "[tune]") {
  CHECK(default_table_path("/home/me/.config/allnorm", "NVIDIA H200") ==
        "/home/me/.config/allnorm/tables/nvidia-h200.json");
  CHECK(usage_error_of([] { default_table_path("", "NVIDIA H200"); }).starts_with("--output: not given, and "));
}

TEST_CASE("the driver's version is found in what the driver says", "[tune]") {
  CHECK(driver_version_in("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 2025\n"
                          "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n") == "580.95.05");
  CHECK(driver_version_in("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n") ==
        "570.86.15");
  CHECK(driver_version_in("").empty());
  CHECK(driver_version_in("NVRM version: NVIDIA\n").empty());
}
