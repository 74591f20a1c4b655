#include "jit/dump.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "env/log.h"

namespace allnorm {
namespace {

/// In the folder, which is made if need be.
std::filesystem::path base_path(const Env& env, const std::string& key) {
  std::filesystem::create_directories(env.dump_dir);
  return std::filesystem::path(env.dump_dir) / key.substr(0, 16);
}

void write_file(const std::filesystem::path& path, const char* bytes, std::size_t size) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(bytes, static_cast<std::streamsize>(size));
  stream.close();
  if (!stream) log::warn("dump: cannot write {}", path.string());
}

/// Runs a program found on PATH, its output into a file. False if it cannot be run or fails.
bool run_into(const std::filesystem::path& output, const char* program, std::array<const char*, 3> arguments) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  std::array<char*, 4> argv{};
  for (std::size_t i = 0; i < arguments.size(); i++) argv[i] = const_cast<char*>(arguments[i]);
  pid_t child = 0;
  const bool spawned = posix_spawnp(&child, program, &actions, nullptr, argv.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  int status = 1;
  return spawned && waitpid(child, &status, 0) == child && status == 0;
}

void dump_sass(const std::filesystem::path& base, const Nvrtc::Result& result) {
  const std::string cubin = base.string() + ".cubin";
  const std::string sass = base.string() + ".sass";
  write_file(cubin, reinterpret_cast<const char*>(result.cubin.data()), result.cubin.size());
  if (run_into(sass, "nvdisasm", {"nvdisasm", cubin.c_str(), nullptr})) return;
  if (run_into(sass, "cuobjdump", {"cuobjdump", "--dump-sass", cubin.c_str()})) return;
  log::warn("dump: SASS needs nvdisasm or cuobjdump on PATH; the binary is in {}", cubin);
}

}  // namespace

void dump_compilation(const Env& env, const std::string& key, const std::string& source,
                      const Nvrtc::Result& result) noexcept {
  try {
    const std::filesystem::path base = base_path(env, key);
    if (env.dump.source) write_file(base.string() + ".cu", source.data(), source.size());
    if (env.dump.ptx) write_file(base.string() + ".ptx", result.ptx.data(), result.ptx.size());
    if (env.dump.log) write_file(base.string() + ".log", result.log.data(), result.log.size());
    if (env.dump.sass) dump_sass(base, result);
  } catch (const std::exception& error) {
    log::warn("dump: {}", error.what());
  }
}

void dump_compilation(const Env& env, const std::string& key, const std::string& source,
                      const HostCompiler::Result& result) noexcept {
  try {
    const std::filesystem::path base = base_path(env, key);
    if (env.dump.source) write_file(base.string() + ".cc", source.data(), source.size());
    if (env.dump.log) write_file(base.string() + ".log", result.log.data(), result.log.size());
  } catch (const std::exception& error) {
    log::warn("dump: {}", error.what());
  }
}

}  // namespace allnorm
