// Kernels for host as libraries in this process.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cache_fixture.h"
#include "catch.h"
#include "device/sim/host_library.h"
#include "error_of.h"
#include "host_kernel.h"
#include "jit/host_compiler.h"
#include "jit/kernel_sources.h"
#include "jit/specialize.h"

namespace fs = std::filesystem;
using namespace allnorm;
using allnorm::cache::test::Folder;
using allnorm::sim::HostLibrary;
using allnorm::testing::error_of;
using allnorm::testing::host_env;
using allnorm::testing::host_spec;
using allnorm_kernel::HostOps;

namespace {

using Place = HostLibrary::Place;

std::vector<std::byte> compile(const std::string& source) {
  static const auto kCompiler = HostCompiler::find(host_env());
  static const KernelSources kSources("");
  return kCompiler->compile(source, "kernel.cc", kSources.files(), compile_options(Target::kHost)).library;
}

/// A kernel that asks for its thread's index and adds a number of its own.
std::vector<std::byte> adding_kernel(int number) {
  return compile(
      "#include \"device_ops.cuh\"\n"
      "namespace allnorm_kernel {\n"
      "struct Parameters { u32* to; };\n"
      "ALLNORM_KERNEL(1, 1) kernel(ALLNORM_GRID_CONSTANT(Parameters) parameters) {\n"
      "  *parameters.to = thread_in_cta() + " +
      std::to_string(number) + ";\n}\n}\n");
}

template <allnorm_kernel::u32 kThread>
HostOps ops_of_thread() {
  HostOps ops{};
  ops.thread_in_cta = +[] { return kThread; };
  return ops;
}

unsigned run(const HostLibrary& library) {
  unsigned result = 0;
  unsigned* to = &result;
  library.entry_point("kernel")(&to);
  return result;
}

/// How many libraries of ours the process has mapped, and files it has open for them.
std::size_t count_mapped() {
  std::set<std::string> libraries;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("allnorm_kernel") != std::string::npos || line.find("/kernel.so") != std::string::npos) {
      // address perms offset dev inode path: an inode is a library
      std::istringstream fields(line);
      std::string field;
      for (int i = 0; i < 5; i++) fields >> field;
      libraries.insert(field);
    }
  }
  return libraries.size();
}

std::size_t count_open_files() {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a library calls the functions that it was given, and is gone at the end") {
  const std::vector<std::byte> binary = adding_kernel(100);
  const HostOps ops = ops_of_thread<7>();
  const Folder folder;
  const std::size_t open_files = count_open_files();
  for (const Place place : {Place::kMemory, Place::kFile}) {
    const HostLibrary library(binary, &ops, folder.path(), place);
    CHECK(run(library) == 107);
    CHECK(count_mapped() == 1);
    CHECK(fs::is_empty(folder.path()));
  }
  CHECK(count_mapped() == 0);
  CHECK(count_open_files() == open_files);
}

TEST_CASE("libraries that are loaded at once stay apart, equal ones too") {
  const HostOps ops7 = ops_of_thread<7>();
  const HostOps ops8 = ops_of_thread<8>();
  const Folder folder;
  for (const Place place : {Place::kMemory, Place::kFile}) {
    const HostLibrary a(adding_kernel(100), &ops7, folder.path(), place);
    const HostLibrary b(adding_kernel(200), &ops8, folder.path(), place);
    const HostLibrary c(adding_kernel(100), &ops8, folder.path(), place);
    CHECK(run(a) == 107);
    CHECK(run(b) == 208);
    CHECK(run(c) == 108);
    CHECK(count_mapped() == 3);
  }
}

TEST_CASE("a library that comes after another is not taken for it") {
  const HostOps ops = ops_of_thread<1>();
  for (int i = 0; i < 3; i++) CHECK(run(HostLibrary(adding_kernel(10 * i), &ops, "/tmp")) == 10 * i + 1u);
}

TEST_CASE("the kernels of a Spec load and have their entry points") {
  const HostOps ops{};
  Spec spec = host_spec();
  for (const Strategy strategy : {Strategy::kOneShot, Strategy::kTwoShot}) {
    spec.strategy = strategy;
    const HostLibrary library(compile(specialized_source(spec)), &ops, "/tmp");
    CHECK(library.entry_point(kernel_name(spec)) != nullptr);
    CHECK(error_of(ErrorCode::kDriver, [&] { library.entry_point("other"); }) ==
          "a kernel for the simulator has no other");
  }
}

TEST_CASE("what is no library is refused") {
  const HostOps ops{};
  const std::string text = "#!/bin/sh\necho this is no library, however long it may be: there is no ELF header here\n";
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  const std::size_t open_files = count_open_files();
  const Folder folder;
  for (const Place place : {Place::kMemory, Place::kFile}) {
    for (const std::size_t size : {std::size_t{0}, text.size()}) {
      const std::string message =
          error_of(ErrorCode::kDriver, [&] { HostLibrary({bytes, size}, &ops, folder.path(), place); });
      CHECK(message.starts_with("a kernel for the simulator cannot be loaded: "));
    }
  }
  CHECK(fs::is_empty(folder.path()));
  CHECK(count_open_files() == open_files);
  CHECK(error_of(ErrorCode::kDriver, [&] {
          HostLibrary({bytes, 4}, &ops, "/proc/nowhere", Place::kFile);
        }).starts_with("no temporary folder can be made in /proc/nowhere: "));
}

TEST_CASE("a library for another version of the simulator is refused, and unloaded") {
  const HostOps ops{};
  const std::string exported = "extern \"C\" __attribute__((visibility(\"default\"))) ";
  const auto load = [&](const std::string& source) {
    const std::vector<std::byte> binary = compile(source);
    return error_of(ErrorCode::kDriver, [&] { HostLibrary(binary, &ops, "/tmp"); });
  };
  CHECK(load(exported + "const void* allnorm_host_ops;\n" + exported +
             "const unsigned allnorm_host_ops_version;\nconst unsigned allnorm_host_ops_version = 4711;\n") ==
        "a kernel for the simulator was made for another version of it (4711, this is " +
            std::to_string(allnorm_kernel::kHostOpsVersion) + "); remove it from the cache");
  CHECK(load(exported + "int something;\n" + exported + "int something = 1;\n") ==
        "a kernel for the simulator has no allnorm_host_ops_version");
  CHECK(count_mapped() == 0);
}
