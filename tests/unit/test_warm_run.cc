// `allnorm warm`: what it makes and keeps, in worker processes that may die, and how it finds what is wrong.
//
// Most of it with a compiler that makes a file at once: of the kernels nothing but their bytes matters here.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "cache/listing.h"
#include "cache/manifest.h"
#include "cache/sha256.h"
#include "catch.h"
#include "command.h"
#include "dispatch/geometry.h"
#include "dispatch/spec_text.h"
#include "host_kernel.h"
#include "jit/compiler.h"

#ifdef ALLNORM_COMMAND

using namespace allnorm;
using namespace allnorm::command_test;
using allnorm::testing::make_program;

namespace {

/// 16 kernels.
const std::string kHost = "--arch host --hidden 512 --world 2-9 --pdl off ";
constexpr int kKernels = 16;

/// A folder with a compiler that notes each kernel, and that does something else once, from the third time on.
class Workshop {
 public:
  explicit Workshop(const std::string& third_time = "", const std::string& library = "echo library of $name") {
    const std::string count = folder_ / "count";
    std::string script = "echo x >> " + count + "\n";
    if (!third_time.empty()) {
      // Two of them may count at once.
      script += "if [ $(wc -l < " + count + ") -ge 3 ] && mkdir " + count + ".3 2>/dev/null; then " +
                "read _ _ _ grandparent _ < /proc/$PPID/stat; " + third_time + "; fi\n";
    }
    script += R"(name=$1; while [ "$1" != -o ]; do shift; done; )" + library + " > \"$2\"";
    compiler_ = make_program(folder_ / "c++", script);
  }

  /// The exit code is a shell's, so that it can say that the command was killed.
  Outcome warm(const std::string& arguments, const std::string& more_environment = "") const {
    return run("warm " + arguments, "ALLNORM_CXX=" + compiler_ + " ALLNORM_CACHE_DIR=" + cache() + " " +
                                        more_environment + R"( sh -c '"$0" "$@"; exit $?')");
  }
  nlohmann::json made(const std::string& arguments, int code = 0) const {
    const Outcome outcome = warm("--json " + arguments);
    INFO(outcome.out);
    INFO(outcome.err);
    REQUIRE(outcome.code == code);
    return nlohmann::json::parse(outcome.out);
  }
  int compilations() const {
    const std::string text = read_file(folder_ / "count");
    return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  }
  std::string cache() const { return folder_ / "cache"; }
  std::string output() const { return folder_ / "output"; }
  std::string operator/(const std::string& name) const { return folder_ / name; }

 private:
  Folder folder_;
  std::string compiler_;
};

cache::Manifest manifest_of(const std::string& directory) {
  std::string reason;
  auto manifest = cache::parse_manifest(read_file(directory + "/manifest.json"), reason);
  INFO(reason);
  CHECK(reason.empty());
  return manifest.value_or(cache::Manifest());
}

std::string file_of(const std::string& directory, const cache::ManifestEntry& entry) {
  return cache::entry_path(directory, entry.target, entry.key);
}

unsigned mode_of(const std::string& path) {
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

void flip_a_byte(const std::string& path) {
  std::string bytes = read_file(path);
  bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

TEST_CASE("warm makes a directory to ship, once", "[warm]") {
  const Workshop shop;
  const std::string arguments = kHost + "--workers 3 --output " + shop.output();
  const auto first = shop.made("--write-manifest " + (shop / "copy.json") + " " + arguments);
  CHECK(first["made"] == kKernels);
  CHECK(first["already_there"] == 0);
  CHECK(first["failed"].empty());
  CHECK(first["directory"] == shop.output());
  CHECK(shop.compilations() == kKernels);
  CHECK_FALSE(fs::exists(shop.cache()));

  // The manifest says what is there, readable by anybody.
  const cache::Manifest manifest = manifest_of(shop.output());
  REQUIRE(manifest.entries.size() == kKernels);
  KernelCompiler compiler(Env{});
  std::int64_t bytes = 0;
  for (const cache::ManifestEntry& entry : manifest.entries) {
    const std::string file = file_of(shop.output(), entry);
    CHECK(cache::to_hex(cache::sha256(read_file(file))) == entry.sha256);
    CHECK(mode_of(file) == 0644);
    CHECK(mode_of(fs::path(file).parent_path()) == 0755);
    const std::string name = "manifest";
    const JsonNode tree = parse_json(entry.spec, name);
    CHECK(compiler.prebuilt_key(parse_spec(JsonField(tree, name))) == entry.key);
    bytes += entry.bytes;
  }
  CHECK(first["made_bytes"] == bytes);
  CHECK(mode_of(shop.output()) == 0755);
  CHECK(mode_of(shop.output() + "/manifest.json") == 0644);
  CHECK(read_file(shop / "copy.json") == read_file(shop.output() + "/manifest.json"));

  // A second time there is nothing to do, also without a compiler.
  const auto time = fs::last_write_time(shop.output() + "/manifest.json");
  const auto second = shop.made(arguments);
  CHECK(second["made"] == 0);
  CHECK(second["already_there"] == kKernels);
  CHECK(second["already_there_bytes"] == bytes);
  CHECK(shop.compilations() == kKernels);
  CHECK(fs::last_write_time(shop.output() + "/manifest.json") == time);
  CHECK(run("warm " + arguments, "ALLNORM_CXX=/nonexistent/c++").code == 0);

  // More is added to what is there.
  CHECK(shop.made("--arch host --hidden 512 --world 2-10 --pdl off --output " + shop.output())["made"] == 2);
  CHECK(manifest_of(shop.output()).entries.size() == kKernels + 2);

  // What is broken is made again, and what nobody asks for any more leaves the manifest when it is gone.
  for (const cache::ManifestEntry& entry : manifest_of(shop.output()).entries) {
    if (manifest.find(entry.target, entry.key) != nullptr) continue;
    fs::remove(file_of(shop.output(), entry));
    break;
  }
  flip_a_byte(file_of(shop.output(), manifest.entries[4]));
  fs::remove(file_of(shop.output(), manifest.entries[7]));
  CHECK(shop.made(arguments)["made"] == 2);
  CHECK(manifest_of(shop.output()).entries.size() == kKernels + 1);
  CHECK(run("warm --check --output " + shop.output()).code == 0);
}

TEST_CASE("commands that fill one directory together lose nothing of each other's", "[warm]") {
  const Workshop shop;
  std::vector<std::jthread> threads;
  for (const char* hidden : {"256", "264", "272", "280"}) {
    threads.emplace_back([&shop, hidden] {
      shop.warm(
          fmt::format("--arch host --hidden {} --world 2,3 --strategy one_shot --geometry 1x4x1 --pdl off "
                      "--workers 1 --output {}",
                      hidden, shop.output()));
    });
  }
  threads.clear();
  CHECK(manifest_of(shop.output()).entries.size() == 8);
  CHECK(run("warm --check --output " + shop.output()).code == 0);
}

TEST_CASE("a copy of the manifest replaces a file, and nothing else", "[warm]") {
  const Workshop shop;
  const Outcome outcome = shop.warm(kHost + "--write-manifest /dev/null");
  CHECK(outcome.code == 2);
  CHECK(outcome.err.find("--write-manifest: /dev/null given, which is no regular file") != std::string::npos);
  CHECK(shop.compilations() == 0);
}

TEST_CASE("warm fills the user's cache", "[warm]") {
  const Workshop shop;
  const auto json = shop.made(kHost + "--workers 2");
  CHECK(json["made"] == kKernels);
  CHECK(json["directory"] == shop.cache());
  CHECK(manifest_of(shop.cache()).entries.size() == kKernels);
  CHECK(mode_of(file_of(shop.cache(), manifest_of(shop.cache()).entries[0])) == 0600);
  CHECK(shop.made(kHost)["already_there"] == kKernels);
  CHECK(shop.compilations() == kKernels);
  CHECK(shop.warm("--check " + kHost).code == 0);
  // Programs with this compiler find them.
  Env env;
  env.cxx_path = shop / "c++";
  env.cache.directory = shop.cache();
  env.cache.mode = cache::Mode::kRequireHit;
  Spec spec = allnorm::testing::host_spec();
  spec.world_size = 9;
  CHECK(KernelCompiler(env).compile(spec).from_disk_cache);
  spec.world_size = 10;
  CHECK_THROWS_AS(KernelCompiler(env).compile(spec), Error);
}

TEST_CASE("what a cache has no room for is told", "[warm]") {
  const Workshop shop("", "head -c 300000 /dev/zero");
  const Outcome full = shop.warm("--json " + kHost + "--workers 1", "ALLNORM_CACHE_MAX_MB=1");
  CHECK(full.code == 1);
  const auto json = nlohmann::json::parse(full.out);
  CHECK(json["made"] == kKernels);
  CHECK(json["problems"].size() >= 12);
  CHECK(contains(json["problems"][0], "a kernel has gone again"));
  CHECK(manifest_of(shop.cache()).entries.size() == kKernels - json["problems"].size());
}

TEST_CASE("after the command was killed it goes on from there", "[warm]") {
  const Workshop shop("kill -9 $grandparent");
  const std::string arguments = kHost + "--workers 1 --output " + shop.output();
  CHECK(shop.warm(arguments).code == 128 + 9);
  CHECK_FALSE(fs::exists(shop.output() + "/manifest.json"));
  // The worker may still be at its last kernel.
  const auto json = shop.made(arguments);
  CHECK(json["already_there"] >= 2);
  CHECK(json["already_there"] <= 3);
  CHECK(json["made"] == kKernels - json["already_there"].get<int>());
  CHECK(manifest_of(shop.output()).entries.size() == kKernels);
  CHECK(run("warm --check --output " + shop.output()).code == 0);
}

TEST_CASE("an interrupted command says so, and keeps what was made", "[warm]") {
  for (const char* signal : {"TERM", "INT"}) {
    INFO(signal);
    const Workshop shop("kill -" + std::string(signal) + " $grandparent");
    const std::string arguments = kHost + "--workers 1 --output " + shop.output();
    const auto json = shop.made(arguments, 130);
    CHECK(json["interrupted"] == true);
    CHECK(json["made"] == 3);  // The third was under way.
    CHECK(json["left"] == kKernels - 3);
    CHECK(manifest_of(shop.output()).entries.size() == 3);
    CHECK(shop.made(arguments)["made"] == kKernels - 3);
    CHECK(shop.compilations() == kKernels);
  }
}

TEST_CASE("a worker that hangs does not keep an interrupted command", "[warm]") {
  const Workshop shop("kill -TERM $grandparent; sleep 60");
  const auto begin = std::chrono::steady_clock::now();
  const auto json = shop.made(kHost + "--workers 1 --output " + shop.output(), 130);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
  CHECK(json["made"] == 2);
  CHECK(json["left"] == kKernels - 2);
}

TEST_CASE("a worker that dies costs its kernel only", "[warm]") {
  const Workshop shop("kill -9 $PPID");
  const std::string arguments = kHost + "--workers 2 --output " + shop.output();
  const auto json = shop.made(arguments, 1);
  CHECK(json["made"] == kKernels - 1);
  REQUIRE(json["failed"].size() == 1);
  CHECK(contains(json["failed"][0]["reason"], "its worker was killed by signal 9 (Killed)"));
  CHECK(json["failed"][0]["spec"]["hidden_dim"] == 512);
  CHECK(manifest_of(shop.output()).entries.size() == kKernels - 1);
  CHECK(shop.made(arguments)["made"] == 1);
}

TEST_CASE("a kernel that cannot be compiled is told with its reason", "[warm]") {
  const Workshop shop("echo 'a.cc:1: error: \xff no' >&2; exit 1");
  const Outcome outcome = shop.warm(kHost + "--workers 1 --verbose --output " + shop.output());
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.out, "failed: target=host operation=fused"));
  CHECK(contains(outcome.out, "a.cc:1: error: "));
  CHECK(contains(outcome.out, "15 kernels in " + shop.output()));
  CHECK(contains(outcome.err, "3 of 16: host "));
  CHECK(contains(outcome.err, "16 of 16: host "));
}

TEST_CASE("a missing compiler is said before anything is begun", "[warm]") {
  const Workshop shop;
  const Outcome host = run("warm --output " + shop.output() + " " + kHost, "ALLNORM_CXX=/nonexistent/c++");
  CHECK(host.code == 3);
  CHECK(contains(host.err, "allnorm: ALLNORM_CXX=/nonexistent/c++ is not a program"));
  const Outcome nvrtc =
      shop.warm("--arch host,sm_90a --pdl off --output " + shop.output(), "ALLNORM_NVRTC=/nonexistent/libnvrtc.so");
  CHECK(nvrtc.code == 3);
  CHECK(contains(nvrtc.err, "allnorm: NVRTC could not be loaded"));
  CHECK(shop.compilations() == 0);
}

TEST_CASE("check finds what is wrong with a directory", "[warm]") {
  const Workshop shop;
  const std::string check = "--check --output " + shop.output() + " ";
  const Outcome nothing = shop.warm(check);
  CHECK(nothing.code == 1);
  CHECK(contains(nothing.out, "wrong: " + shop.output() + "/manifest.json is not there"));

  REQUIRE(shop.warm(kHost + "--output " + shop.output()).code == 0);
  const cache::Manifest manifest = manifest_of(shop.output());
  const Outcome good = shop.warm(check);
  CHECK(good.code == 0);
  CHECK(contains(good.out, ": 16 entries of the manifest checked"));

  // Kernels that are asked for.
  CHECK(shop.warm(check + kHost).code == 0);
  const Outcome more = shop.warm(check + "--arch host --hidden 512 --world 8-10 --pdl off");
  CHECK(more.code == 1);
  CHECK(contains(more.out, "has no kernel for this version of allnorm: target=host"));
  CHECK(contains(more.out, "6 kernels looked up; 2 wrong"));
  std::ofstream(shop / "specs") << manifest.entries[0].spec << "\n" << manifest.entries[1].spec << "\n";
  CHECK(shop.warm(check + "--manifest " + (shop / "specs")).code == 0);
  CHECK(shop.warm(check + "--arch sm_90a --manifest " + (shop / "specs")).code == 1);

  // Another manifest.
  fs::copy(shop.output() + "/manifest.json", shop / "copy");
  CHECK(shop.warm(check + "--manifest " + (shop / "copy")).code == 0);
  cache::Manifest other = manifest;
  other.entries[5].sha256[7] = other.entries[5].sha256[7] == '0' ? '1' : '0';
  std::ofstream(shop / "copy", std::ios::trunc) << cache::to_json(other);
  CHECK(shop.warm(check + "--manifest " + (shop / "copy")).code == 1);

  const std::string flipped = file_of(shop.output(), manifest.entries[3]);
  const std::string missing = file_of(shop.output(), manifest.entries[9]);
  flip_a_byte(flipped);
  fs::remove(missing);
  const Outcome bad = shop.warm(check);
  CHECK(bad.code == 1);
  CHECK(contains(bad.out, "wrong: will not use " + flipped + ": it is not what the manifest says"));
  CHECK(contains(bad.out, "wrong: the manifest names " + missing + ", which is not there"));
  CHECK(contains(bad.out, "; 2 wrong"));
  const auto json = nlohmann::json::parse(shop.warm("--json " + check).out);
  CHECK(json["good"] == false);
  CHECK(json["entries"] == kKernels);
  CHECK(json["problems"].size() == 2);
  CHECK(fs::exists(flipped));  // Looking changes nothing.

  std::ofstream(shop.output() + "/manifest.json", std::ios::trunc) << "{}";
  CHECK(contains(shop.warm(check).out, "wrong: " + shop.output() + "/manifest.json: the manifest has no"));
  // Making it anew says what it could not read.
  const Outcome again = shop.warm(kHost + "--output " + shop.output());
  CHECK(again.code == 0);
  CHECK(contains(again.err, "allnorm: making a new manifest: "));
  CHECK(shop.warm(check + kHost).code == 0);
}

TEST_CASE("a program that may not compile runs with what warm has made", "[warm]") {
  const Folder folder;
  const std::string directory = folder / "kernels";
  const std::string warm = "warm --arch host --world 1 --hidden 256 --pdl off --output " + directory;
  REQUIRE(run(warm + " --quant none").code == 0);
  REQUIRE(run(warm + " --quant fp8,nvfp4,dynamic_fp8 --no-output").code == 0);
  const std::string may_not = "PATH=/nonexistent ALLNORM_CACHE=require-hit ALLNORM_PREBUILT_DIRS=" + directory;
  const Outcome demo = run("demo --device sim --hidden 256 --tokens 2 --ranks 1", may_not);
  INFO(demo.err);
  CHECK(demo.code == 0);
  CHECK(contains(demo.out, "outputs verified to the bit"));
  CHECK(run("demo --device sim --hidden 512 --tokens 2 --ranks 1", may_not).code == 3);
}

TEST_CASE("cubins that warm has made are found without NVRTC", "[warm]") {
  const Folder folder;
  const std::string flags = "warm --arch sm_90a,sm_100a --hidden 1024 --strategy one_shot --geometry 1x4x1 --pdl off ";
  REQUIRE(run(flags + "--workers 2 --output " + (folder / "kernels")).code == 0);
  Env env;
  env.cache.mode = cache::Mode::kRequireHit;
  env.cache.prebuilt_directories = {folder / "kernels"};
  env.nvrtc_path = "/nonexistent/libnvrtc.so";
  KernelCompiler compiler(env);
  Spec spec;
  spec.world_size = 2;
  spec.hidden_dim = 1024;
  spec.geometry = {1, 4, 1};
  for (const Target target : {Target::kSm90a, Target::kSm100a}) {
    spec.target = target;
    const CompiledKernel kernel = compiler.compile(spec);
    CHECK(kernel.from_disk_cache);
    CHECK(kernel.entry_name == "allnorm_one_shot");
    CHECK(std::string(reinterpret_cast<const char*>(kernel.binary.data()), 4) == "\177ELF");
  }
  spec.target = Target::kSm120a;
  CHECK_THROWS_AS(compiler.compile(spec), Error);
}

#endif  // ALLNORM_COMMAND
