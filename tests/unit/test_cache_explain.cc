// `allnorm cache explain`: whether a call would find a kernel, where, and which fields of the key are in the way.
#include <filesystem>
#include <string>
#include <vector>

#include "cache_command.h"
#include "catch.h"

#ifdef ALLNORM_COMMAND

using namespace allnorm;
using namespace allnorm::command_test;

namespace {

std::vector<std::string> fields_of(const Json& nearest) {
  std::vector<std::string> fields;
  for (const Json& difference : nearest["differs"]) fields.push_back(difference["field"]);
  return fields;
}

}  // namespace

TEST_CASE("cache explain names exactly the fields that differ, and what makes the kernel") {
  const Kernels kernels;
  kernels.put(entry_of(gpu_spec(4096)));  // differs in more fields than the next
  Spec wider = gpu_spec();
  wider.hidden_dim = 504;
  const cache::Entry near = entry_of(wider);
  kernels.put(near);

  const Outcome outcome = kernels.command("explain --hidden 512");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.out, "\nkey " + key_of(gpu_spec()).hex + "\n"));
  CHECK(contains(outcome.out, "The nearest of 2 kernels is " + near.key.substr(0, 16)));
  CHECK(contains(outcome.out, "It differs in 1 field:\n  spec hidden_dim: 512 here, 504 there\nThis makes it: "));
  CHECK(contains(outcome.out, "This makes it: " + warm_command(gpu_spec()) + "\n"));
  CHECK(contains(kernels.command("explain --hidden 512", "ALLNORM_CACHE=require-hit").out,
                 "This makes it: ALLNORM_CACHE=normal " + warm_command(gpu_spec()) + "\n"));
  Json json = kernels.json("explain --hidden 512");
  CHECK(json["hit"] == false);
  CHECK(json["nearest"]["key"] == near.key);
  CHECK(fields_of(json["nearest"]) == std::vector<std::string>{"spec hidden_dim"});
  CHECK(json["warm_command"] == warm_command(gpu_spec()));

  json = kernels.json("explain --hidden 512 --pdl late --quant fp8 --world 4");
  CHECK(fields_of(json["nearest"]) ==
        std::vector<std::string>{"spec quant", "spec pdl", "spec world_size", "spec hidden_dim"});
}

TEST_CASE("cache explain tells other sources, versions and options from other Specs") {
  const Kernels kernels;
  const std::string sources(64, '7');
  kernels.put(entry_of(gpu_spec(), {{"sources", sources}, {"library", "0.0.9"}}));
  Outcome outcome = kernels.command("explain --hidden 512");
  const std::string ours = KernelCompiler(host_env()).sources().digest();
  CHECK(contains(outcome.out,
                 "It differs in 2 fields:\n  library: 0.1.0 here, 0.0.9 there (another version of AllNorm)\n"
                 "  sources: " +
                     ours.substr(0, 4) +
                     ".. here, 7777.. there (other kernel sources: another "
                     "version, or ALLNORM_KERNEL_DIR)\n"));
  std::string options = key_of(gpu_spec()).fields[3].second;
  kernels.put(entry_of(gpu_spec(), {{"options", options + " --maxrregcount=64"}}));
  CHECK(contains(kernels.command("explain --hidden 512").out, "\n  options: nothing here, --maxrregcount=64 there ("));
}

TEST_CASE("cache explain looks where a call looks") {
  const Kernels kernels;
  const std::string prebuilt = "ALLNORM_PREBUILT_DIRS=" + (kernels.folder / "prebuilt");
  make_prebuilt(kernels.folder / "prebuilt", {gpu_spec(1024)});
  const std::string path = kernels.put(entry_of(gpu_spec()));
  make_older(path, 48);
  const auto before = snapshot(kernels.folder / "");

  const Outcome hit = kernels.command("explain --hidden 512", "ALLNORM_NVRTC=/nonexistent " + prebuilt);
  CHECK(hit.code == 0);
  CHECK(contains(hit.out, "\nHit: " + kernels.directory + " (the user's cache).\n"));
  CHECK(kernels.json("explain --hidden 1024", prebuilt)["found_in"] == "prebuilt");
  CHECK(kernels.command("explain --hidden 1024").code == 1);
  CHECK(kernels.command("explain --hidden 512", "ALLNORM_CACHE=off").code == 1);
  CHECK(contains(kernels.command("explain --hidden 2048", "ALLNORM_CACHE=require-hit").out, "Miss: a call fails"));
  // One of `allnorm demo`.
  CHECK(kernels.json("explain --target host --quant fp8 --no-output --geometry 4x7x1")["found_in"] == "embedded");

  for (const char* sub : {"list", "stat", "verify", "extract 0000"}) kernels.command(sub, prebuilt);
  CHECK(snapshot(kernels.folder / "") == before);

  overwrite(path, "not an entry");
  const Outcome bad = kernels.command("explain --hidden 512");
  CHECK(bad.code == 1);
  CHECK(contains(bad.out, "not an entry of this cache"));
  CHECK(fs::exists(path));
}

TEST_CASE("cache explain of a kernel for host needs the compiler for its key, and says so") {
  const Kernels kernels;
  KernelCompiler compiler(with_cache(host_env(), kernels.directory));
  const std::string library(reinterpret_cast<const char*>(compiler.compile(host_spec()).binary.data()),
                            compiler.compile(host_spec()).binary.size());
  const std::string flags = "explain --target host --hidden 512";
  CHECK(kernels.command(flags).code == 0);

  const Outcome missing = kernels.command(flags, "ALLNORM_CXX=/nonexistent/c++");
  CHECK(missing.code == 1);
  CHECK(contains(missing.out, "the key of a kernel for host needs the C++ compiler's name and version: ALLNORM_CXX="));
  CHECK(contains(missing.out, "Miss: a call fails, for it needs the C++ compiler"));
  CHECK(kernels.json(flags, "ALLNORM_CXX=/nonexistent/c++")["key"].is_null());

  const std::string other = allnorm::testing::make_program(kernels.folder / "c++", "exit 1");
  CHECK(fields_of(kernels.json(flags, "ALLNORM_CXX=" + other)["nearest"]) == std::vector<std::string>{"compiler"});

  const Outcome extracted =
      kernels.command("extract " + compiler.key(host_spec()).hex + " -o " + (kernels.folder / "k.so"));
  CHECK(contains(extracted.out, "objdump -d -C " + (kernels.folder / "k.so")));
  CHECK(read_file(kernels.folder / "k.so") == library);
}

#endif  // ALLNORM_COMMAND
