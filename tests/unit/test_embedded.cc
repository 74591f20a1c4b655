// What the build embeds is what lies in the source tree, and can be read.
#include <fstream>
#include <sstream>

#include "catch.h"
#include "dispatch/table.h"
#include "jit/embedded.h"

namespace {

void check_against_folder(std::span<const allnorm::EmbeddedFile> files, const std::string& folder) {
  for (const auto& file : files) {
    INFO(file.name);
    std::ifstream in(folder + std::string(file.name), std::ios::binary);
    REQUIRE(in);
    std::ostringstream text;
    text << in.rdbuf();
    CHECK(text.str() == file.text);
  }
}

}  // namespace

TEST_CASE("embedded files equal the files of the source tree, byte for byte") {
  const std::string root = ALLNORM_SOURCE_DIR;
  check_against_folder(allnorm::embedded_kernel_sources(), root + "/kernels_src/");
  check_against_folder(allnorm::embedded_tuned_tables(), root + "/runtime/tuned/");
}

TEST_CASE("the embedded tuned tables are tables, with entries whose last bound holds all calls") {
  for (const auto& file : allnorm::embedded_tuned_tables()) {
    const auto table = allnorm::Table::parse(file.text, std::string(file.name));
    INFO(file.name);
    CHECK(table.entry_count() > 0);
    CHECK_FALSE(table.provenance().device.empty());
    for (const allnorm::TableKey& key : table.keys()) {
      CHECK(table.lookup(key).back().max_tokens == allnorm::TableBound::kNoLimit);
    }
  }
}
