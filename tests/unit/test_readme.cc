// What the README and the design page say of files is so.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "catch.h"

namespace {

const std::string kRoot = ALLNORM_SOURCE_DIR;

std::string read(const std::string& path) {
  INFO(path);
  std::ifstream in(kRoot + "/" + path, std::ios::binary);
  REQUIRE(in);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The targets of [text](target) that are files of ours, without #anchors.
std::vector<std::string> links_of(const std::string& text) {
  std::vector<std::string> links;
  for (std::size_t at = text.find("]("); at != std::string::npos; at = text.find("](", at + 1)) {
    const std::string target = text.substr(at + 2, text.find(')', at) - at - 2);
    const std::string file = target.substr(0, target.find('#'));
    if (!file.empty() && target.find("://") == std::string::npos) links.push_back(file);
  }
  return links;
}

}  // namespace

TEST_CASE("the README's program is tests/consumer/readme_example.cc, which is compiled and run") {
  const std::string readme = read("README.md");
  const std::string fence = "```cpp\n";
  const std::size_t begin = readme.find(fence);
  REQUIRE(begin != std::string::npos);
  const std::size_t end = readme.find("```", begin + fence.size());
  REQUIRE(end != std::string::npos);
  CHECK(readme.substr(begin + fence.size(), end - begin - fence.size()) == read("tests/consumer/readme_example.cc"));
  CHECK(readme.find(fence, end) == std::string::npos);
}

TEST_CASE("files that the README and docs/ link to exist") {
  for (const std::string page : {"README.md", "docs/design.md"}) {
    const std::vector<std::string> links = links_of(read(page));
    CHECK_FALSE(links.empty());
    for (const std::string& link : links) {
      INFO(page << " links to " << link);
      CHECK(std::filesystem::exists((std::filesystem::path(kRoot) / page).parent_path() / link));
    }
  }
}
