// The system's C++ compiler as the simulator's: every kernel compiles, and what can go wrong is said.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cache_fixture.h"
#include "catch.h"
#include "dispatch/names.h"
#include "error_of.h"
#include "host_kernel.h"
#include "jit/compiler.h"
#include "jit/host_compiler.h"
#include "jit/kernel_sources.h"
#include "jit/run_program.h"
#include "jit/specialize.h"

namespace fs = std::filesystem;
using namespace allnorm;
using allnorm::cache::test::Folder;
using allnorm::testing::error_of;
using allnorm::testing::host_env;
using allnorm::testing::host_spec;
using allnorm::testing::make_program;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

HostCompiler::Result compile(const HostCompiler& compiler, const Spec& spec) {
  static const KernelSources kSources("");
  return compiler.compile(specialized_source(spec), "kernel.cc", kSources.files(), compile_options(spec.target));
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Those of g++ and clang++ that are here.
std::vector<std::shared_ptr<const HostCompiler>> compilers() {
  std::vector<std::shared_ptr<const HostCompiler>> found;
  for (const char* name : {"g++", "clang++"}) {
    Env env = host_env();
    env.cxx_path = name;
    try {
      found.push_back(HostCompiler::find(env));
    } catch (const Error& error) {
      CHECK(contains(error.what(), "is not a program on PATH"));
    }
  }
  return found;
}

/// A sample in which every value of every axis appears.
std::vector<Spec> sample() {
  std::vector<Spec> specs;
  for (const Strategy strategy : kKernelStrategies) {
    for (const Quant quant : kQuants) {
      for (const int world : {1, 2, 8, 72}) {
        const std::size_t i = specs.size();
        Spec spec = host_spec();
        spec.strategy = strategy;
        spec.quant = quant;
        spec.world_size = static_cast<std::uint8_t>(world);
        spec.dtype = kRowDataTypes[i % kRowDataTypes.size()];
        spec.gamma_dtype = i % 2 == 0 ? spec.dtype : DataType::kF32;
        spec.transport = kTransports[i / 2 % kTransports.size()];
        spec.pdl = kPdls[i % kPdls.size()];
        spec.hidden_dim = i % 3 == 0 ? 2880 : 7168;
        spec.has_output = i % 4 != 1 || quant == Quant::kNone;
        spec.has_residual_out = i % 5 != 1;
        if (quant == Quant::kNvfp4 && i % 2 == 0) spec.layout = ScaleLayout::kSwizzled128x4;
        spec.zero_scale_padding = spec.layout == ScaleLayout::kSwizzled128x4;
        if (quant == Quant::kNone && i % 2 == 1) {
          spec.operation = Operation::kAllReduce;
          spec.has_residual_out = false;
        }
        spec.geometry = default_geometry(spec.hidden_dim, spec.dtype, i % 2 == 0 ? 1 : 4096, spec.world_size, 132);
        specs.push_back(spec);
      }
    }
  }
  return specs;
}

}  // namespace

TEST_CASE("every kind of kernel compiles for host") {
  const auto compiler = HostCompiler::find(host_env());
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<Spec> specs = sample();
  for (const Spec& spec : specs) {
    INFO(describe(spec));
    REQUIRE_NOTHROW(check_spec(spec));
    const HostCompiler::Result result = compile(*compiler, spec);
    const std::string library = text_of(result.library);
    CHECK(result.log.empty());
    CHECK(library.starts_with("\177ELF"));
    for (const char* name : {kernel_name(spec), "allnorm_host_ops", "allnorm_host_ops_version"}) {
      CHECK(contains(library, std::string("\0", 1) + name + std::string("\0", 1)));
    }
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{}: {} kernels, {:.0f} ms each\n", compiler->identity(), specs.size(),
             took.count() / static_cast<double>(specs.size()));
}

TEST_CASE("every compiler of this machine compiles, and is another one") {
  std::set<std::string> identities;
  for (const auto& compiler : compilers()) {
    identities.insert(compiler->identity());
    CHECK_FALSE(compile(*compiler, host_spec()).library.empty());
  }
  CHECK_FALSE(identities.empty());
  CHECK(identities.size() == compilers().size());
}

TEST_CASE("the library names sources without a folder, and is the same each time") {
  for (const auto& compiler : compilers()) {
    INFO(compiler->identity());
    const std::string library = text_of(compile(*compiler, host_spec()).library);
    std::size_t names = 0;
    for (std::size_t at = library.find(".cuh"); at != std::string::npos; at = library.find(".cuh", at + 1)) {
      const std::size_t begin = library.find_last_of('\0', at) + 1;
      const std::string name = library.substr(begin, at - begin);
      CHECK_FALSE(name.empty());
      CHECK_FALSE(contains(name, "/"));
      names++;
    }
    CHECK(names > 3);
    CHECK(contains(library, std::string("\0protocol.cuh\0", 14)));
    CHECK_FALSE(contains(library, "/allnorm-"));
    CHECK(text_of(compile(*compiler, host_spec()).library) == library);
  }
}

TEST_CASE("threads compile at once") {
  const auto compiler = HostCompiler::find(host_env());
  std::atomic<int> compiled = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; i++) {
      threads.emplace_back([&] { compiled += compile(*compiler, host_spec()).library.empty() ? 0 : 1; });
    }
  }
  CHECK(compiled == 3);
}

TEST_CASE("without a compiler the error says what to install") {
  const Folder folder;
  Env env = host_env();
  env.search_path = folder.path();
  CHECK(error_of(ErrorCode::kCompiler, [&] { HostCompiler::find(env); }) ==
        "a kernel for the simulator must be compiled and no C++ compiler was found (tried c++, g++, clang++ on PATH); "
        "install g++ or clang++, or name a C++20 compiler in ALLNORM_CXX");
  env.cxx_path = "/nonexistent/c++";
  CHECK(error_of(ErrorCode::kCompiler, [&] { HostCompiler::find(env); }) ==
        "ALLNORM_CXX=/nonexistent/c++ is not a program; install g++ or clang++, or name a C++20 compiler in "
        "ALLNORM_CXX");
  env.cxx_path = folder.path();  // a folder can be entered, but not run
  CHECK(contains(error_of(ErrorCode::kCompiler, [&] { HostCompiler::find(env); }), "is not a program"));
}

TEST_CASE("a compiler is looked for by its usual names, and one that does not run is passed over") {
  const Folder folder;
  Env env;
  env.search_path = "relative::" + folder.path();
  const std::string last = make_program(folder / "clang++", "exit 1");
  CHECK(HostCompiler::find(env)->path() == last);
  CHECK(HostCompiler::find(env)->identity() == "test compiler 1, test-machine");
  cache::test::write_bytes(folder / "g++", "no program");
  CHECK(HostCompiler::find(env)->path() == last);
  fs::permissions(folder / "g++", fs::perms::owner_all);
  CHECK(HostCompiler::find(env)->path() == last);
  const std::string first = make_program(folder / "c++", "exit 1");
  CHECK(HostCompiler::find(env)->path() == first);
}

TEST_CASE("a program that cannot be run, or that is no compiler, is named", "[native]") {
  const Folder folder;
  Env env;
  env.cxx_path = folder / "bad";
  cache::test::write_bytes(env.cxx_path, "no program");
  fs::permissions(env.cxx_path, fs::perms::owner_all);
  CHECK(error_of(ErrorCode::kCompiler, [&] { HostCompiler::find(env); }) ==
        env.cxx_path + " --version does not say what it is (it cannot be run: Exec format error)");
  env.cxx_path = "/bin/false";
  CHECK(contains(error_of(ErrorCode::kCompiler, [&] { HostCompiler::find(env); }), "does not say what it is"));
}

TEST_CASE("what a compiler says against a source is in the error") {
  const auto compiler = HostCompiler::find(host_env());
  const std::string message = error_of(ErrorCode::kCompiler, [&] {
    compiler->compile("#include \"a.cuh\"\n", "broken.cc", std::array{EmbeddedFile{"a.cuh", "\nthis is no C++;\n"}},
                      compile_options(Target::kHost));
  });
  CHECK(message.starts_with(compiler->path() + " cannot compile broken.cc: exit status 1\n"));
  CHECK(contains(message, "a.cuh:2:"));
  // An undefined function is found out here, not when the library is loaded.
  CHECK(contains(error_of(ErrorCode::kCompiler,
                          [&] {
                            compiler->compile(
                                "void missing(); extern \"C\" __attribute__((visibility(\"default\"))) "
                                "void kernel() { missing(); }\n",
                                "undefined.cc", {}, compile_options(Target::kHost));
                          }),
                 "missing"));
}

TEST_CASE("however a compiler ends, nothing is left behind") {
  const Folder folder;
  Env env = host_env();
  env.temporary_dir = folder / "temporary";
  fs::create_directory(env.temporary_dir);
  const auto message = [&](const std::string& script) {
    env.cxx_path = make_program(folder / "compiler", script);
    const auto compiler = HostCompiler::find(env);
    return error_of(ErrorCode::kCompiler, [&] { compile(*compiler, host_spec()); });
  };
  CHECK(contains(message("echo told you >&2; exit 3"), "cannot compile kernel.cc: exit status 3\ntold you\n"));
  CHECK(contains(message("kill -9 $$"), "killed by signal 9 (Killed)"));
  CHECK(contains(message("exit 0"), "made nothing of kernel.cc: exit status 0"));
  const std::string huge = message("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1");
  CHECK(huge.size() < 20000);
  CHECK(contains(huge, "... and 2983616 bytes more"));
  // Something that it starts and leaves holds its output open: that is not waited for.
  const auto begin = std::chrono::steady_clock::now();
  CHECK(contains(message("sleep 20 & echo gone; exit 1"), "gone"));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  CHECK(contains(message("echo $TMPDIR; exit 1"), env.temporary_dir + "/allnorm-"));
  CHECK(fs::is_empty(env.temporary_dir));
  env.cxx_path.clear();
  CHECK_FALSE(compile(*HostCompiler::find(env), host_spec()).library.empty());
  CHECK(fs::is_empty(env.temporary_dir));
}

TEST_CASE("a folder for temporary files that cannot be used is named") {
  Env env = host_env();
  env.temporary_dir = "/proc/nowhere";
  const std::string message = error_of(ErrorCode::kCompiler, [&] { compile(*HostCompiler::find(env), host_spec()); });
  CHECK(message.starts_with("no temporary folder can be made in /proc/nowhere: "));
  CHECK(message.ends_with("; set TMPDIR to a folder that you may write to"));
}

TEST_CASE("a full disk is an error, and leaves nothing behind") {
  const Folder folder;
  Env env = host_env();
  env.temporary_dir = folder.path();
  const auto compiler = HostCompiler::find(env);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // its limit is its own
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &none);
    int code = 1;
    try {
      compile(*compiler, host_spec());
    } catch (const Error& error) {
      const bool is_named = contains(error.what(), "cannot be written: File too large; make room there");
      code = error.code() == ErrorCode::kCompiler && is_named ? 0 : 2;
    }
    ::_exit(code);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("a program that ignores SIGCHLD can compile") {
  const auto before = ::signal(SIGCHLD, SIG_IGN);
  std::string message;
  std::size_t bytes = 0;
  try {
    const auto compiler = HostCompiler::find(host_env());
    bytes = compile(*compiler, host_spec()).library.size();
    compiler->compile("no C++", "broken.cc", {}, compile_options(Target::kHost));
  } catch (const Error& error) {
    message = error.what();
  }
  ::signal(SIGCHLD, before);
  CHECK(bytes > 1000);
  CHECK(contains(message, "made nothing of broken.cc: its exit status is not known"));
  CHECK(contains(message, "broken.cc:1:"));
}

TEST_CASE("a compiler does not inherit that SIGCHLD is ignored") {
  const auto before = ::signal(SIGCHLD, SIG_IGN);
  // Not a script: shells set the signal right themselves.
  const ProgramEnd end = run_program({"/bin/grep", {"SigIgn", "/proc/self/status"}, "/", "/tmp"});
  ::signal(SIGCHLD, before);
  const std::string label = "SigIgn:\t";
  REQUIRE(end.output.starts_with(label));
  CHECK((std::stoull(end.output.substr(label.size()), nullptr, 16) >> (SIGCHLD - 1) & 1) == 0);
}

TEST_CASE("variables that would change what is compiled are not handed on") {
  const Folder folder;
  Env env = host_env();
  env.cxx_path = make_program(folder / "compiler", "env; exit 1");
  const auto compiler = HostCompiler::find(env);
  ::setenv("CPLUS_INCLUDE_PATH", "/elsewhere", 1);
  ::setenv("ALLNORM_TEST_KEPT", "kept", 1);
  const std::string message = error_of(ErrorCode::kCompiler, [&] { compile(*compiler, host_spec()); });
  ::unsetenv("CPLUS_INCLUDE_PATH");
  ::unsetenv("ALLNORM_TEST_KEPT");
  CHECK_FALSE(contains(message, "/elsewhere"));
  CHECK(contains(message, "ALLNORM_TEST_KEPT=kept"));
  CHECK(contains(message, "LC_ALL=C"));
}
