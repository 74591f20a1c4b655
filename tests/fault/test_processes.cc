// Many processes that need the same kernels at the same time.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "allnorm/error.h"
#include "cache_fixture.h"
#include "catch.h"
#include "child.h"
#include "kernels.h"

using namespace allnorm;
using namespace allnorm::testing;
using allnorm::cache::test::Folder;
using allnorm::cache::test::write_bytes;
namespace fs = std::filesystem;

namespace {

constexpr int kProcesses = 16;
constexpr int kSpecs = 8;
/// Long enough for all to come while the first compile.
constexpr int kCompileMilliseconds = 200;

/// Starts all of them together.
std::vector<Child::End> run_together(std::vector<std::string> arguments, const Variables& variables) {
  Gate gate;
  std::vector<Child> children;
  for (int i = 0; i < kProcesses; i++) children.emplace_back(arguments, variables, gate);
  gate.open();
  std::vector<Child::End> ends;
  for (Child& child : children) ends.push_back(child.wait());
  return ends;
}

int total_of(const std::vector<Child::End>& ends) {
  int compiled = 0;
  for (const Child::End& end : ends) compiled += end.compiled;
  return compiled;
}

void check_all_right(const std::vector<Child::End>& ends, const std::vector<std::string>& digests) {
  REQUIRE(digests.size() == kSpecs);
  for (const Child::End& end : ends) {
    CHECK(end.well);
    CHECK(end.digests == digests);
  }
}

Env host_stub_env(const Variables& variables) {
  Env env = stub_env();
  env.cxx_path = variables.at("ALLNORM_CXX");
  return env;
}

void check_each_compiled_once(const Folder& folder) {
  const auto counts = counted(folder);
  CHECK(counts.size() == kSpecs);
  for (const auto& [name, count] : counts) {
    INFO(name);
    CHECK(count == 1);
  }
}

}  // namespace

TEST_CASE("16 processes that start together compile each of 8 kernels once in all") {
  const Folder folder;
  const Variables variables = stub_variables(folder, kCompileMilliseconds);
  SECTION("with the system's compiler") {
    const auto ends = run_together({"host", "8"}, variables);
    check_each_compiled_once(folder);
    CHECK(total_of(ends) == kSpecs);
    check_all_right(ends, right_digests(host_stub_env(variables), some_specs(Target::kHost, kSpecs)));
  }
  SECTION("with NVRTC") {
    const auto ends = run_together({"sm_90a", "8"}, variables);
    check_each_compiled_once(folder);
    CHECK(total_of(ends) == kSpecs);
    check_all_right(ends, right_digests(stub_env(), some_specs(Target::kSm90a, kSpecs)));
  }
}

TEST_CASE("16 processes that start together compile each of 8 kernels once in all, with the real NVRTC") {
  const Folder folder;
  Variables variables = stub_variables(folder, 0);
  variables.erase("ALLNORM_NVRTC");
  const char* const nvrtc = std::getenv("ALLNORM_NVRTC");
  if (nvrtc != nullptr) variables["ALLNORM_NVRTC"] = nvrtc;
  Env env = host_env();
  env.nvrtc_path = nvrtc == nullptr ? "" : nvrtc;
  try {
    KernelCompiler(env).nvrtc();
  } catch (const Error& error) {
    std::cout << "skipped: " << error.what() << "\n";
    return;
  }
  const auto ends = run_together({"sm_90a", "8"}, variables);
  CHECK(total_of(ends) == kSpecs);
  check_all_right(ends, right_digests(env, some_specs(Target::kSm90a, kSpecs)));
}

TEST_CASE("16 processes are all right where locks are refused") {
  const Folder folder;
  Variables variables = stub_variables(folder, kCompileMilliseconds / 4);
  std::vector<std::string> arguments = {"sm_90a", "8"};
  SECTION("the file system has none") { arguments.emplace_back("--no-locks"); }
  SECTION("a file is where their folder should be") {
    write_bytes(folder / "file", "");
    variables["ALLNORM_LOCK_DIR"] = folder / "file";
  }
  SECTION("their folder cannot be made") {
    write_bytes(folder / "file", "");
    variables["ALLNORM_LOCK_DIR"] = folder / "file/locks";
  }
  SECTION("others may write to their folder") {
    fs::create_directory(folder / "locks");
    fs::permissions(folder / "locks", fs::perms(0777));
    variables["ALLNORM_LOCK_DIR"] = folder / "locks";
  }
  const auto ends = run_together(arguments, variables);
  check_all_right(ends, right_digests(stub_env(), some_specs(Target::kSm90a, kSpecs)));
  CHECK(counted(folder).size() == kSpecs);
  std::cout << "without locks, 8 kernels were compiled " << total_of(ends) << " times\n";
  CHECK(total_of(ends) >= kSpecs);
  // What was kept is whole.
  const Child::End later = run_child(arguments, variables);
  CHECK(later.digests == ends.front().digests);
  CHECK(later.compiled == 0);
}
