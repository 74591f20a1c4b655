#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "allnorm/error.h"
#include "catch.h"
#include "env/env.h"

namespace {

namespace cache = allnorm::cache;
using allnorm::Env;
using allnorm::Error;
using allnorm::ErrorCode;
using allnorm::LogLevel;

using Variables = std::map<std::string, std::string>;

Env parse(const Variables& variables) {
  return Env::parse([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

/// The message of the error that the value causes; empty if it is taken.
std::string rejection(const std::string& name, const std::string& value) {
  try {
    parse({{name, value}, {"HOME", "/home/u"}});
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidEnvironment);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("without variables the defaults hold, and the cache is off with a reason") {
  const Env env = parse({});
  CHECK(env.log_level == LogLevel::kWarn);
  CHECK(env.cache.mode == cache::Mode::kNormal);
  CHECK(Env::why_not_kept(env.cache).find("HOME") != std::string::npos);
  CHECK(env.cache.directory.empty());
  CHECK(env.config_dir.empty());
  CHECK(env.nvrtc_path.empty());
  CHECK(env.driver_path.empty());
  CHECK(env.kernel_dir.empty());
  CHECK(env.cxx_path.empty());
  CHECK(env.search_path == "/usr/bin:/bin");
  CHECK(env.temporary_dir == "/tmp");
  CHECK(env.table_path.empty());
  CHECK_FALSE(env.dump.any());
  CHECK(env.dump_dir == ".");
  CHECK(env.timeout_seconds == 30.0);
  CHECK_FALSE(env.checked);
  CHECK_FALSE(env.multicast);
  CHECK_FALSE(env.multicast_forbidden);
}

TEST_CASE("an empty variable counts as unset") {
  Variables all;
  for (const Env::Variable& variable : Env::variables()) all[variable.name] = "";
  const Env env = parse(all);
  CHECK(env.timeout_seconds == 30.0);
  CHECK(env.log_level == LogLevel::kWarn);
  CHECK(env.cache.directory.empty());
  // The one exception, since it is one for NVSHMEM.
  CHECK(env.multicast_forbidden_by == "NVSHMEM_DISABLE_NVLS=");
  all.erase("NVSHMEM_DISABLE_NVLS");
  CHECK_FALSE(parse(all).multicast_forbidden);
}

TEST_CASE("each variable is asked for once, and the table of variables is complete") {
  std::map<std::string, int> asked;
  Env::parse([&](const char* name) -> const char* {
    ++asked[name];
    return nullptr;
  });
  std::set<std::string> documented;
  for (const Env::Variable& variable : Env::variables()) {
    INFO(variable.name);
    CHECK(documented.insert(variable.name).second);
    CHECK(asked[variable.name] == 1);
    CHECK(std::string(variable.description).size() > 10);
  }
  CHECK(asked.size() == documented.size());
}

TEST_CASE("the cache's folder is the own variable, then XDG, then home") {
  CHECK(parse({{"HOME", "/h"}}).cache.directory == "/h/.cache/allnorm");
  CHECK(parse({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}).cache.directory == "/x/allnorm");
  CHECK(parse({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}, {"ALLNORM_CACHE_DIR", "/a/b"}}).cache.directory == "/a/b");
  CHECK(parse({{"HOME", "/h"}}).cache.mode == cache::Mode::kNormal);
  CHECK(Env::why_not_kept(parse({{"HOME", "/h"}}).cache).empty());
}

TEST_CASE("the configuration folder is the own variable, then XDG, then home") {
  CHECK(parse({{"HOME", "/h"}}).config_dir == "/h/.config/allnorm");
  CHECK(parse({{"HOME", "/h"}, {"XDG_CONFIG_HOME", "/x"}}).config_dir == "/x/allnorm");
  CHECK(parse({{"XDG_CONFIG_HOME", "/x"}, {"ALLNORM_CONFIG_DIR", "/a"}}).config_dir == "/a");
}

TEST_CASE("relative folders of others are ignored, own ones are refused") {
  CHECK(parse({{"HOME", "/h"}, {"XDG_CACHE_HOME", "x"}}).cache.directory == "/h/.cache/allnorm");
  CHECK(parse({{"HOME", "h"}}).cache.directory.empty());
  CHECK_FALSE(rejection("ALLNORM_CACHE_DIR", "cache").empty());
  CHECK_FALSE(rejection("ALLNORM_CACHE_DIR", "~/cache").empty());
  CHECK_FALSE(rejection("ALLNORM_CONFIG_DIR", "./c").empty());
}

TEST_CASE("the cache can be turned off") {
  const Env env = parse({{"HOME", "/h"}, {"ALLNORM_CACHE", "off"}});
  CHECK(env.cache.mode == cache::Mode::kOff);
  CHECK(Env::why_not_kept(env.cache) == "ALLNORM_CACHE=off");
  CHECK(parse({{"ALLNORM_CACHE", "normal"}}).cache.mode == cache::Mode::kNormal);
  CHECK(parse({{"ALLNORM_CACHE", "read-only"}}).cache.mode == cache::Mode::kReadOnly);
  CHECK(parse({{"ALLNORM_CACHE", "require-hit"}}).cache.mode == cache::Mode::kRequireHit);
}

TEST_CASE("an error names the variable, what was given and what is allowed") {
  const std::string message = rejection("ALLNORM_LOG", "loud");
  CHECK(message.find("ALLNORM_LOG") != std::string::npos);
  CHECK(message.find("\"loud\"") != std::string::npos);
  CHECK(message.find("trace, debug, info, warn, error or off") != std::string::npos);
}

TEST_CASE("all log levels are read by name, in lower case only") {
  CHECK(parse({{"ALLNORM_LOG", "trace"}}).log_level == LogLevel::kTrace);
  CHECK(parse({{"ALLNORM_LOG", "debug"}}).log_level == LogLevel::kDebug);
  CHECK(parse({{"ALLNORM_LOG", "info"}}).log_level == LogLevel::kInfo);
  CHECK(parse({{"ALLNORM_LOG", "warn"}}).log_level == LogLevel::kWarn);
  CHECK(parse({{"ALLNORM_LOG", "error"}}).log_level == LogLevel::kError);
  CHECK(parse({{"ALLNORM_LOG", "off"}}).log_level == LogLevel::kOff);
  CHECK_FALSE(rejection("ALLNORM_LOG", "WARN").empty());
}

TEST_CASE("bad switches are errors") {
  for (const char* value : {"1", "true", "ON", " on"}) {
    INFO(value);
    CHECK_FALSE(rejection("ALLNORM_CACHE", value).empty());
  }
  for (const char* value : {"on", "2", "01", "yes"}) {
    INFO(value);
    CHECK_FALSE(rejection("ALLNORM_MULTICAST", value).empty());
  }
}

TEST_CASE("a timeout is a plain decimal number, and 0 is no limit") {
  CHECK(parse({{"ALLNORM_TIMEOUT_SECONDS", "0"}}).timeout_seconds == 0.0);
  CHECK(parse({{"ALLNORM_TIMEOUT_SECONDS", "0.0"}}).timeout_seconds == 0.0);
  CHECK(parse({{"ALLNORM_TIMEOUT_SECONDS", "2.5"}}).timeout_seconds == 2.5);
  CHECK(parse({{"ALLNORM_TIMEOUT_SECONDS", "0.001"}}).timeout_seconds == 0.001);
  CHECK(parse({{"ALLNORM_TIMEOUT_SECONDS", "1000000"}}).timeout_seconds == 1e6);
  for (const char* value :
       {"-1", "-0", "+1", "1e3", "inf", "nan", "1s", " 1", "1,5", ".", "1.2.3", "0x1", "0.0001", "1000000001"}) {
    INFO(value);
    CHECK_FALSE(rejection("ALLNORM_TIMEOUT_SECONDS", value).empty());
  }
}

TEST_CASE("a library is an absolute path or a bare name") {
  CHECK(parse({{"ALLNORM_NVRTC", "/o/libnvrtc.so.12"}}).nvrtc_path == "/o/libnvrtc.so.12");
  CHECK(parse({{"ALLNORM_NVRTC", "libnvrtc.so.13"}}).nvrtc_path == "libnvrtc.so.13");
  CHECK(parse({{"ALLNORM_DRIVER", "/o/libcuda.so.1"}}).driver_path == "/o/libcuda.so.1");
  CHECK_FALSE(rejection("ALLNORM_NVRTC", "./libnvrtc.so").empty());
  CHECK_FALSE(rejection("ALLNORM_DRIVER", "lib/libcuda.so.1").empty());
}

TEST_CASE("the C++ compiler is an absolute path or a bare name") {
  CHECK(parse({{"ALLNORM_CXX", "/o/g++"}}).cxx_path == "/o/g++");
  CHECK(parse({{"ALLNORM_CXX", "clang++-19"}}).cxx_path == "clang++-19");
  CHECK(rejection("ALLNORM_CXX", "./g++") ==
        "ALLNORM_CXX=\"./g++\" is not allowed: it must be an absolute path, or the name of a program without a folder. "
        "Correct it, or unset it.");
}

TEST_CASE("where to look for programs and to put temporary files") {
  CHECK(parse({{"PATH", "/a:b"}}).search_path == "/a:b");
  CHECK(parse({{"TMPDIR", "/scratch"}}).temporary_dir == "/scratch");
  CHECK(parse({{"TMPDIR", "scratch"}}).temporary_dir == "/tmp");
}

TEST_CASE("paths for development and tables are taken as they are") {
  const Env env = parse({{"ALLNORM_KERNEL_DIR", "k"}, {"ALLNORM_DUMP_DIR", "d"}, {"ALLNORM_TABLE", "t.json"}});
  CHECK(env.kernel_dir == "k");
  CHECK(env.dump_dir == "d");
  CHECK(env.table_path == "t.json");
}

TEST_CASE("a dump is a comma list of known words") {
  const Env some = parse({{"ALLNORM_DUMP", "ptx,log"}});
  CHECK(some.dump.any());
  CHECK(some.dump.ptx);
  CHECK(some.dump.log);
  CHECK_FALSE(some.dump.source);
  CHECK_FALSE(some.dump.sass);
  const Env rest = parse({{"ALLNORM_DUMP", "source,sass"}});
  CHECK(rest.dump.source);
  CHECK(rest.dump.sass);
  for (const char* value : {"all", "ptx, log", "ptx,,log", ",", "PTX", "ptx;log"}) {
    INFO(value);
    CHECK_FALSE(rejection("ALLNORM_DUMP", value).empty());
  }
}

TEST_CASE("ALLNORM_CHECKED asks for checked mode, and takes nothing but 0 and 1") {
  CHECK(parse({{"ALLNORM_CHECKED", "1"}}).checked);
  CHECK_FALSE(parse({{"ALLNORM_CHECKED", "0"}}).checked);
  CHECK(rejection("ALLNORM_CHECKED", "yes") ==
        "ALLNORM_CHECKED=\"yes\" is not allowed: it must be 0 or 1. Correct it, or unset it.");
}

TEST_CASE("each site variable forbids multicast, and is named") {
  CHECK(parse({{"ALLNORM_MULTICAST", "1"}}).multicast);
  CHECK_FALSE(parse({{"ALLNORM_MULTICAST", "0"}}).multicast);
  const std::pair<const char*, const char*> forbidding[] = {
      {"NCCL_NVLS_ENABLE", "0"},       {"NCCL_NVLS_ENABLE", "00"},
      {"NCCL_NVLS_ENABLE", "0x0"},     {"NCCL_NVLS_ENABLE", "+0"},
      {"NCCL_NVLS_ENABLE", " 0"},      {"NCCL_NVLS_ENABLE", "Off"},
      {"NVSHMEM_DISABLE_NVLS", "1"},   {"NVSHMEM_DISABLE_NVLS", "True"},
      {"NVSHMEM_DISABLE_NVLS", "2"},   {"NVSHMEM_DISABLE_NVLS", "y"},
      {"NVSHMEM_DISABLE_NVLS", "off"}, {"NVSHMEM_DISABLE_NVLS", " 0"},
      {"NVSHMEM_DISABLE_NVLS", ""},    {"TORCH_SYMM_MEM_DISABLE_MULTICAST", "1"}};
  for (const auto& [name, value] : forbidding) {
    INFO(name << "=" << value);
    const Env env = parse({{name, value}, {"ALLNORM_MULTICAST", "1"}});
    CHECK(env.multicast_forbidden);
    CHECK(env.multicast_forbidden_by == std::string(name) + "=" + value);
  }
}

TEST_CASE("site variables with other values neither forbid nor fail") {
  const std::pair<const char*, const char*> allowing[] = {{"NCCL_NVLS_ENABLE", "2"},
                                                          {"NCCL_NVLS_ENABLE", ""},
                                                          {"NCCL_NVLS_ENABLE", " "},
                                                          {"NCCL_NVLS_ENABLE", "0x"},
                                                          {"NCCL_NVLS_ENABLE", "0 "},
                                                          {"NCCL_NVLS_ENABLE", "zero"},
                                                          {"NVSHMEM_DISABLE_NVLS", "0"},
                                                          {"NVSHMEM_DISABLE_NVLS", "0x1"},
                                                          {"NVSHMEM_DISABLE_NVLS", "No"},
                                                          {"NVSHMEM_DISABLE_NVLS", "n"},
                                                          {"NVSHMEM_DISABLE_NVLS", "False"},
                                                          {"NVSHMEM_DISABLE_NVLS", "f"},
                                                          {"TORCH_SYMM_MEM_DISABLE_MULTICAST", "maybe"},
                                                          {"TORCH_SYMM_MEM_DISABLE_MULTICAST", ""}};
  for (const auto& [name, value] : allowing) {
    INFO(name << "=" << value);
    const Env env = parse({{name, value}});
    CHECK_FALSE(env.multicast_forbidden);
    CHECK(env.multicast_forbidden_by.empty());
  }
}

TEST_CASE("in a program that runs with another user's rights, the site's variables count, and no others do",
          "[native]") {
  if (::geteuid() != 0) return;  // only then can it be one
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("NVSHMEM_DISABLE_NVLS", "1", 1);
    ::setenv("ALLNORM_TIMEOUT_SECONDS", "7", 1);
    const bool changed = ::setresuid(65534, 0, 0) == 0;  // the next program has its secure mode
    if (changed) ::execl("/proc/self/exe", "allnorm_unit_tests", "[.secure]", nullptr);
    ::_exit(99);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("run by the test above", "[.secure]") {
  if (std::getenv("ALLNORM_TIMEOUT_SECONDS") == nullptr) return;
  REQUIRE(::getauxval(AT_SECURE) != 0);
  const Env env = Env::from_process();
  CHECK(env.timeout_seconds == 30.0);
  CHECK(env.multicast_forbidden_by == "NVSHMEM_DISABLE_NVLS=1");
}

TEST_CASE("the process's environment is read") {
  ::setenv("ALLNORM_TIMEOUT_SECONDS", "7.25", 1);
  CHECK(Env::from_process().timeout_seconds == 7.25);
  ::unsetenv("ALLNORM_TIMEOUT_SECONDS");
  CHECK(Env::from_process().timeout_seconds == 30.0);
}
