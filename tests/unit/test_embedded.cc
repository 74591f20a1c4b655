// What the build embeds is what lies in the source tree.
#include <fstream>
#include <sstream>

#include "catch.h"
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
