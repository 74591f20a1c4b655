// KernelCompiler over the cache: modes, prebuilt directories, what is remembered, and several kernels at once.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "cache/listing.h"
#include "cache/manifest.h"
#include "cache/sha256.h"
#include "cache_fixture.h"
#include "catch.h"
#include "dispatch/json_tree.h"
#include "dispatch/spec_text.h"
#include "error_of.h"
#include "host_kernel.h"
#include "jit/compile_pool.h"
#include "jit/compiler.h"

namespace fs = std::filesystem;
using namespace allnorm;
using allnorm::cache::Mode;
using allnorm::cache::test::count_files;
using allnorm::cache::test::Folder;
using allnorm::cache::test::write_bytes;
using allnorm::testing::error_of;
using allnorm::testing::host_spec;
using allnorm::testing::make_program;

namespace {

/// A compiler that makes a copy of the source, and writes down that it ran.
struct Stub {
  Folder folder;
  Env env;
  Stub() {
    fs::create_directory(folder / "bin");
    env.cxx_path = make_program(folder / "bin/c++", "echo x >> " + (folder / "runs") + "; cp \"$1\" \"$3\"");
    env.cache.directory = folder / "cache";
  }
  Env with(Mode mode) const {
    Env changed = env;
    changed.cache.mode = mode;
    return changed;
  }
  std::size_t runs() const {
    std::ifstream file(folder / "runs");
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(file), {}, 'x'));
  }
};

Spec spec_of_hidden(int hidden) {
  Spec spec = host_spec();
  spec.hidden_dim = hidden;
  return spec;
}

std::vector<Spec> specs(int count) {
  std::vector<Spec> list;
  for (int i = 0; i < count; i++) list.push_back(spec_of_hidden(8 + 8 * i));
  return list;
}

/// Moves what a normal cache holds of a Spec into a prebuilt directory.
void make_prebuilt(const std::string& directory, KernelCompiler& compiler, const Spec& spec) {
  std::string reason;
  auto entry = compiler.cache().store()->get("host", compiler.key(spec).hex, reason);
  REQUIRE(entry.has_value());
  entry->key = compiler.prebuilt_key(spec);
  const cache::Store store(directory);
  REQUIRE(store.put("host", *entry, reason));
  const std::string bytes = cache::encode(*entry);
  const cache::Manifest manifest{"test",
                                 {{"host", entry->key, static_cast<std::int64_t>(bytes.size()),
                                   cache::to_hex(cache::sha256(bytes)), to_json(spec)}}};
  write_bytes(directory + "/manifest.json", to_json(manifest));
}

}  // namespace

TEST_CASE("mode normal keeps what it compiles, the others do not") {
  for (const Mode mode : {Mode::kNormal, Mode::kReadOnly, Mode::kOff}) {
    const Stub stub;
    INFO(static_cast<int>(mode));
    const auto compiled = KernelCompiler(stub.with(mode)).compile(host_spec());
    CHECK(compiled.binary.size() > 100);
    CHECK(stub.runs() == 1);
    CHECK(fs::exists(stub.env.cache.directory) == (mode == Mode::kNormal));
    const auto again = KernelCompiler(stub.with(mode)).compile(host_spec());
    CHECK(again.binary == compiled.binary);
    CHECK(again.from_disk_cache == (mode == Mode::kNormal));
    CHECK(stub.runs() == (mode == Mode::kNormal ? 1u : 2u));
  }
}

TEST_CASE("mode read-only reads what is there, and mode off does not") {
  const Stub stub;
  KernelCompiler(stub.env).compile(host_spec());
  CHECK(KernelCompiler(stub.with(Mode::kReadOnly)).compile(host_spec()).from_disk_cache);
  CHECK_FALSE(KernelCompiler(stub.with(Mode::kOff)).compile(host_spec()).from_disk_cache);
}

TEST_CASE("mode require-hit compiles nothing, and says which kernel is missing and what makes it") {
  const Stub stub;
  KernelCompiler(stub.env).compile(host_spec());
  KernelCompiler compiler(stub.with(Mode::kRequireHit));
  CHECK(compiler.compile(host_spec()).from_disk_cache);
  const Spec missing = spec_of_hidden(264);
  const std::string message = error_of(ErrorCode::kCacheMiss, [&] { compiler.compile(missing); });
  CHECK(message.find(describe(missing)) != std::string::npos);
  CHECK(message.find(stub.env.cache.directory) != std::string::npos);
  CHECK(message.ends_with("This makes it: ALLNORM_CACHE=normal " + warm_command(missing)));
  // Nor is a kernel that does not load compiled again.
  CHECK_FALSE(error_of(ErrorCode::kCacheMiss, [&] { compiler.compile_anew(host_spec()); }).empty());
  CHECK(stub.runs() == 1);
}

TEST_CASE("mode require-hit without a compiler is a miss, not the compiler's error") {
  const Stub stub;
  Env env = stub.with(Mode::kRequireHit);
  env.cxx_path = "/nonexistent/c++";
  KernelCompiler compiler(env);
  CHECK_FALSE(error_of(ErrorCode::kCacheMiss, [&] { compiler.compile(host_spec()); }).empty());
}

TEST_CASE("a prebuilt directory comes before the user's, and needs no compiler") {
  const Stub stub;
  KernelCompiler first(stub.env);
  const auto compiled = first.compile(host_spec());
  make_prebuilt(stub.folder / "prebuilt", first, host_spec());
  fs::remove_all(stub.env.cache.directory);

  Env env = stub.with(Mode::kRequireHit);
  env.cache.prebuilt_directories = {stub.folder / "empty", stub.folder / "prebuilt"};
  env.cxx_path = "/nonexistent/c++";
  KernelCompiler second(env);
  CHECK(second.compile(host_spec()).binary == compiled.binary);
  CHECK(second.statistics().disk_hits == 1);
  CHECK(stub.runs() == 1);
  CHECK_FALSE(fs::exists(stub.env.cache.directory));
}

TEST_CASE("a kernel that the compiler rejects is not tried again") {
  const Stub stub;
  Env env = stub.env;
  env.cxx_path = make_program(stub.folder / "bin/c++",
                              "echo x >> " + (stub.folder / "runs") + "; echo \"$1:3:4: error: no\" >&2; exit 1");
  KernelCompiler compiler(env);
  const std::string first = error_of(ErrorCode::kCompiler, [&] { compiler.compile(host_spec()); });
  CHECK(first.find(":3:4: error: no") != std::string::npos);
  CHECK(error_of(ErrorCode::kCompiler, [&] { compiler.compile(host_spec()); }) == first);
  CHECK(stub.runs() == 1);
  CHECK_FALSE(error_of(ErrorCode::kCompiler, [&] { compiler.compile(spec_of_hidden(16)); }).empty());
  CHECK(stub.runs() == 2);
}

TEST_CASE("a compiler that fails for another reason is tried again") {
  const Stub stub;
  Env env = stub.env;
  env.cxx_path = make_program(stub.folder / "bin/c++", "echo 'fatal error: No space left' >&2; exit 1");
  KernelCompiler compiler(env);
  CHECK_FALSE(error_of(ErrorCode::kCompiler, [&] { compiler.compile(host_spec()); }).empty());
  make_program(env.cxx_path, "cp \"$1\" \"$3\"");
  CHECK(compiler.compile(host_spec()).binary.size() > 100);
}

TEST_CASE("kernels that a process needs are recorded, each once") {
  const Stub stub;
  Env env = stub.env;
  env.record_specs = stub.folder / "specs.jsonl";
  for (int process = 0; process < 2; process++) {
    KernelCompiler compiler(env);
    for (const Spec& spec : specs(3)) compiler.compile(spec);
    compiler.compile(specs(3)[1]);
  }
  std::ifstream file(env.record_specs);
  std::vector<Spec> recorded;
  for (std::string line; std::getline(file, line);) {
    const std::string name = "line";
    const JsonNode root = parse_json(line, name);
    recorded.push_back(parse_spec(JsonField(root, name)));
  }
  REQUIRE(recorded.size() == 6);
  CHECK(std::vector<Spec>(recorded.begin(), recorded.begin() + 3) == specs(3));
  CHECK(std::vector<Spec>(recorded.begin() + 3, recorded.end()) == specs(3));
}

TEST_CASE("a record that cannot be written fails no call") {
  const Stub stub;
  Env env = stub.env;
  env.record_specs = "/nonexistent/folder/specs.jsonl";
  CHECK(KernelCompiler(env).compile(host_spec()).binary.size() > 100);
}

TEST_CASE("several kernels are compiled at once, each once, with progress", "[native]") {
  const Stub stub;
  Env env = stub.env;
  // One alone would wait for a second in vain.
  const std::string runs = stub.folder / "runs";
  env.cxx_path =
      make_program(stub.folder / "bin/c++", "echo x >> " + runs + "\nfor i in $(seq 1000); do [ $(wc -l < " + runs +
                                                ") -lt 2 ] || exec cp \"$1\" \"$3\"; sleep 0.01; done; exit 1");
  KernelCompiler compiler(env);
  std::vector<std::size_t> steps;
  std::atomic<int> inside = 0;
  const auto on_ready = [&](const CompileStep& step) {
    CHECK(inside++ == 0);
    CHECK(step.total == 12);
    CHECK(step.kernel.binary.size() > 100);
    steps.push_back(step.done);
    inside--;
  };
  const std::vector<Spec> list = specs(12);
  CompilePool{compiler, 6, on_ready}.compile_all(list);
  CHECK(steps == std::vector<std::size_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(stub.runs() == 12);
}

TEST_CASE("a failure ends the pool, and is its error", "[native]") {
  const Stub stub;
  Env env = stub.env;
  env.cxx_path = make_program(stub.folder / "bin/c++", "grep -q 'HiddenDim = 24' \"$1\" && exit 9; cp \"$1\" \"$3\"");
  KernelCompiler compiler(env);
  const std::vector<Spec> list = specs(8);
  const std::string message = error_of(ErrorCode::kCompiler, [&] { CompilePool{compiler, 2, {}}.compile_all(list); });
  CHECK(message.find("exit status 9") != std::string::npos);
  const auto stop = [](const CompileStep& step) {
    if (step.done == 2) throw Error(ErrorCode::kAborted, "enough");
  };
  env.cxx_path = make_program(stub.folder / "bin/c++", "echo x >> " + (stub.folder / "runs") + "; cp \"$1\" \"$3\"");
  env.cache.mode = Mode::kOff;
  KernelCompiler other(env);
  CHECK(error_of(ErrorCode::kAborted, [&] { CompilePool{other, 1, stop}.compile_all(list); }) == "enough");
  CHECK(stub.runs() == 2);
}
