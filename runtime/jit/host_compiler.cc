#include "jit/host_compiler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include "allnorm/error.h"
#include "env/temporary_folder.h"
#include "jit/kernel_rejected.h"
#include "jit/run_program.h"

namespace allnorm {
namespace {

constexpr std::array kUsualNames = {"c++", "g++", "clang++"};
constexpr const char* kAdvice = "install g++ or clang++, or name a C++20 compiler in ALLNORM_CXX";
constexpr const char* kOutput = "kernel.so";

bool is_program(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

/// Empty if it is on none of the folders. One that is not absolute would depend on where the process is.
std::string find_on_path(std::string_view name, std::string_view folders) {
  while (!folders.empty()) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    folders.remove_prefix(std::min(folder.size() + 1, folders.size()));
    if (!folder.starts_with('/')) continue;
    if (std::string path = fmt::format("{}/{}", folder, name); is_program(path)) return path;
  }
  return "";
}

/// Without it, messages of the simulator would name a file of a folder that is gone.
std::string line_directive(std::string_view name) { return fmt::format("#line 1 \"{}\"\n", name); }

}  // namespace

std::shared_ptr<const HostCompiler> HostCompiler::find(const Env& env) {
  const auto make = [&](const std::string& path) {
    return std::shared_ptr<const HostCompiler>(new HostCompiler(path, env.temporary_dir));
  };
  if (!env.cxx_path.empty()) {
    const bool is_absolute = env.cxx_path.front() == '/';
    const std::string path = is_absolute ? env.cxx_path : find_on_path(env.cxx_path, env.search_path);
    if (is_program(path)) return make(path);
    throw Error(ErrorCode::kCompiler,
                fmt::format("ALLNORM_CXX={} is not a program{}; {}", env.cxx_path,
                            is_absolute ? "" : fmt::format(" on PATH ({})", env.search_path), kAdvice));
  }
  std::string broken;
  for (const char* name : kUsualNames) {
    const std::string path = find_on_path(name, env.search_path);
    if (path.empty()) continue;
    try {
      return make(path);
    } catch (const Error& error) {
      if (broken.empty()) broken = fmt::format(", {}", error.what());
    }
  }
  throw Error(ErrorCode::kCompiler, fmt::format("a kernel for the simulator must be compiled and no C++ compiler was "
                                                "found (tried {} on PATH{}); {}",
                                                fmt::join(kUsualNames, ", "), broken, kAdvice));
}

HostCompiler::HostCompiler(std::string path, std::string temporary_dir)
    : path_(std::move(path)), temporary_dir_(std::move(temporary_dir)) {
  identity_ = ask("--version");
  // Two of one version may still make code for different machines.
  identity_ += ", " + ask("-dumpmachine");
}

std::string HostCompiler::ask(const char* option) const {
  const ProgramEnd end = run_program({path_, {option}, "/", temporary_dir_, false});
  const std::string line = end.output.substr(0, end.output.find('\n'));
  if (end.succeeded && !line.empty()) return line;
  throw Error(ErrorCode::kCompiler, fmt::format("{} {} does not say what it is ({})", path_, option, end.how));
}

HostCompiler::Result HostCompiler::compile(const std::string& source, const std::string& name,
                                           std::span<const EmbeddedFile> headers,
                                           const std::vector<std::string>& options) const {
  const TemporaryFolder folder(temporary_dir_, ErrorCode::kCompiler);
  folder.write(name, line_directive(name), source);
  for (const EmbeddedFile& header : headers) folder.write(header.name, line_directive(header.name), header.text);
  // Libraries among the options come after the source, as linkers want it.
  Program program{path_, {name, "-o", kOutput}, folder.path(), folder.path()};
  program.arguments.insert(program.arguments.end(), options.begin(), options.end());
  const ProgramEnd end = run_program(program);
  if (!end.succeeded) {
    const std::string message = fmt::format("{} cannot compile {}: {}\n{}", path_, name, end.how, end.output);
    // A fault of the source, as every compiler says it; not one of the disk, say.
    if (end.output.find(": error: ") != std::string::npos) throw KernelRejected(message);
    throw Error(ErrorCode::kCompiler, message);
  }
  std::ifstream file(folder / kOutput, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || bytes.empty()) {
    throw Error(ErrorCode::kCompiler, fmt::format("{} made nothing of {}: {}\n{}", path_, name, end.how, end.output));
  }
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  return {{first, first + bytes.size()}, end.output};
}

}  // namespace allnorm
