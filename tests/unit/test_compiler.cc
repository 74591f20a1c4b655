// KernelCompiler: what keys are made of, and where a kernel for host comes from.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "allnorm/version.h"
#include "cache_fixture.h"
#include "catch.h"
#include "error_of.h"
#include "host_kernel.h"
#include "jit/compiler.h"
#include "jit/cubin_info.h"
#include "jit/kernel_sources.h"
#include "jit/specialize.h"

namespace fs = std::filesystem;
using namespace allnorm;
using allnorm::cache::test::Folder;
using allnorm::cache::test::write_bytes;
using allnorm::testing::error_of;
using allnorm::testing::host_env;
using allnorm::testing::host_spec;
using allnorm::testing::make_program;
using allnorm::testing::with_cache;

namespace {

Env without_compiler() {
  Env env = host_env();
  env.search_path = "/nonexistent";
  return env;
}

const std::vector<std::byte> kBytes = {std::byte{1}, std::byte{2}};

}  // namespace

TEST_CASE("the key of a cubin is made of these fields, and needs no compiler") {
  KernelCompiler compiler(without_compiler());
  Spec spec = host_spec();
  spec.target = Target::kSm90a;
  const cache::Key expected = cache::KeyBuilder()
                                  .add("schema", 1)
                                  .add("library", ALLNORM_VERSION_STRING)
                                  .add("target", "sm_90a")
                                  .add("options",
                                       "--gpu-architecture=sm_90a --std=c++20 -fmad=false -ftz=false -prec-div=true "
                                       "-prec-sqrt=true --no-source-include")
                                  .add("sources", compiler.sources().digest())
                                  .add("spec", describe(spec))
                                  .finish();
  CHECK(compiler.key(spec).hex == expected.hex);
  CHECK(compiler.prebuilt_key(spec) == expected.hex);
}

TEST_CASE("a lean kernel that needs local memory is compiled again, as one that is not lean") {
  Spec spec = host_spec();
  spec.target = Target::kSm90a;
  spec.hidden_dim = 2048;
  spec.geometry = {1, 8, 1};
  const auto registers_with = [&](const std::string& in_lean_kernels) {
    const Folder folder;
    const KernelSources sources("");
    for (const EmbeddedFile& file : sources.files()) {
      std::string text(file.text);
      const std::string lean = "if constexpr (kLean) {\n#pragma";
      if (const auto at = text.find(lean); at != std::string::npos) {
        text.insert(at + lean.find('#'), in_lean_kernels + "\n");
      }
      write_bytes(folder / std::string(file.name), text);
    }
    Env env = Env::from_process();
    env.cache = {};
    env.kernel_dir = folder.path();
    const CubinInfo info = read_cubin(KernelCompiler(env).compile_anew(spec).binary);
    CHECK(info.stack_bytes == 0U);
    return info.registers.value();
  };
  CHECK(registers_with("") <= 32);
  CHECK(registers_with("volatile u32 memory[4]; memory[thread_in_cta() % 4] = 1;") > 32);
}

TEST_CASE("the key of a kernel for host changes with the compiler, the prebuilt key does not") {
  const Folder folder;
  Env env = host_env();
  KernelCompiler system(env);
  env.cxx_path = make_program(folder / "compiler", "exit 1");
  KernelCompiler other(env);
  CHECK(system.key(host_spec()).hex != other.key(host_spec()).hex);
  const std::pair<std::string, std::string> field = {"compiler", "test compiler 1, test-machine"};
  CHECK(other.key(host_spec()).fields.back() == field);
  CHECK(system.prebuilt_key(host_spec()) == other.prebuilt_key(host_spec()));
  CHECK(system.prebuilt_key(host_spec()) == KernelCompiler(without_compiler()).prebuilt_key(host_spec()));
  CHECK(system.prebuilt_key(host_spec()) != system.key(host_spec()).hex);
}

TEST_CASE("a kernel for host is kept with its compiler, and found again") {
  const Folder folder;
  Env env = host_env();
  env.nvrtc_path = "/nonexistent/libnvrtc.so";
  KernelCompiler first(with_cache(env, folder / "cache"));
  const CompiledKernel compiled = first.compile(host_spec());
  CHECK_FALSE(compiled.from_disk_cache);
  CHECK(compiled.entry_name == "allnorm_one_shot");
  CHECK(compiled.seconds > 0);
  std::string reason;
  const auto entry = first.cache().store()->get("host", first.key(host_spec()).hex, reason).value_or(cache::Entry{});
  REQUIRE(entry.provenance != "");
  const auto provenance = nlohmann::json::parse(entry.provenance);
  CHECK(provenance["compiler"] == first.host_compiler().path());
  CHECK(provenance["key"]["compiler"] == first.host_compiler().identity());
  CHECK_FALSE(provenance.contains("nvrtc"));

  KernelCompiler second(with_cache(env, folder / "cache"));
  const CompiledKernel found = second.compile(host_spec());
  CHECK(found.from_disk_cache);
  CHECK(found.binary == compiled.binary);
  CHECK(found.entry_name == compiled.entry_name);
  CHECK(second.statistics().compiled == 0);
}

TEST_CASE("without a compiler a kernel for host is an error unless it is prebuilt") {
  Env env = without_compiler();
  KernelCompiler compiler(env);
  const auto message = error_of(ErrorCode::kCompiler, [&] { compiler.compile(host_spec()); });
  CHECK(message.find("no C++ compiler was found") != std::string::npos);

  const std::string key = compiler.prebuilt_key(host_spec());
  const PrebuiltKernel kernel{key, "allnorm_one_shot", kBytes};
  compiler.add_prebuilt({&kernel, 1});
  const CompiledKernel found = compiler.compile(host_spec());
  CHECK(found.prebuilt);
  CHECK_FALSE(found.from_disk_cache);
  CHECK(found.binary == kBytes);
  CHECK(found.entry_name == "allnorm_one_shot");
  CHECK(compiler.statistics().compiled == 0);
  Spec other = host_spec();
  other.quant = Quant::kFp8;
  CHECK_FALSE(error_of(ErrorCode::kCompiler, [&] { compiler.compile(other); }).empty());
}

TEST_CASE("a prebuilt kernel comes before the cache, and compile_anew passes it over") {
  const Folder folder;
  KernelCompiler compiler(with_cache(host_env(), folder / "cache"));
  const std::vector<std::byte> compiled = compiler.compile(host_spec()).binary;
  const std::string key = compiler.prebuilt_key(host_spec());
  const PrebuiltKernel kernel{key, "allnorm_one_shot", kBytes};
  compiler.add_prebuilt({&kernel, 1});
  CHECK(compiler.compile(host_spec()).binary == kBytes);
  CHECK(compiler.compile_anew(host_spec()).binary == compiled);
}

TEST_CASE("a dump of a kernel for host has its source and log") {
  const Folder folder;
  Env env = host_env();
  env.dump = {true, true, true, true};
  env.dump_dir = folder / "dump";
  KernelCompiler compiler(env);
  const PrebuiltKernel kernel{"", "", kBytes};
  compiler.add_prebuilt({&kernel, 1});
  CHECK(compiler.compile(host_spec()).binary.size() > 1000);
  const std::string base = env.dump_dir + "/" + compiler.key(host_spec()).hex.substr(0, 16);
  CHECK(cache::test::read_bytes(base + ".cc") == specialized_source(host_spec()));
  CHECK(fs::exists(base + ".log"));
  CHECK(cache::test::count_files(env.dump_dir) == 2);
}
