// A prebuilt directory serves a process that has no compiler and is another user, as far as its manifest goes.
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "allnorm/error.h"
#include "allnorm/log.h"
#include "cache/listing.h"
#include "cache/manifest.h"
#include "cache_fixture.h"
#include "catch.h"
#include "dispatch/spec_text.h"
#include "kernels.h"

using namespace allnorm;
using namespace allnorm::testing;
using allnorm::cache::test::Folder;
using allnorm::cache::test::read_bytes;
using allnorm::cache::test::write_bytes;
namespace fs = std::filesystem;

namespace {

constexpr uid_t kNobody = 65534;

/// What a child process found out.
enum Answer : int { kServed = 0, kMissed = 1, kWrongBytes = 2, kCannotBecome = 3 };

/// Two kernels, made by this user for all to read.
class Prebuilt {
 public:
  Prebuilt() {
    Env env = with_cache(stub_env(), folder_ / "made");
    KernelCompiler compiler(env);
    cache::Manifest manifest{"test", {}};
    for (const Spec& spec : specs_) {
      right_.push_back(compiler.compile(spec).binary);
      const std::string key = compiler.key(spec).hex;
      paths.push_back(cache::entry_path(folder_ / "made", "sm_90a", key));
      const std::string bytes = read_bytes(paths.back());
      manifest.entries.push_back(
          {"sm_90a", key, static_cast<std::int64_t>(bytes.size()), cache::to_hex(cache::sha256(bytes)), to_json(spec)});
    }
    manifest_path = folder_ / "made/manifest.json";
    write_bytes(manifest_path, cache::to_json(manifest));
    fs::permissions(folder_.path(), fs::perms(0755));
    for (const auto& item : fs::recursive_directory_iterator(folder_.path())) {
      fs::permissions(item.path(), fs::perms(item.is_directory() ? 0755 : 0644));
    }
  }

  /// Asks for the first kernel or the second, as that user, without any NVRTC and with no directory of one's own.
  Answer ask(std::size_t which, uid_t user) const {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(answer(which, user));
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return static_cast<Answer>(WEXITSTATUS(status));
  }

  std::vector<std::string> paths;
  std::string manifest_path;

 private:
  Answer answer(std::size_t which, uid_t user) const try {
    if (user != ::geteuid() && (::setgroups(0, nullptr) != 0 || ::setgid(user) != 0 || ::setuid(user) != 0)) {
      return kCannotBecome;
    }
    set_log_level(LogLevel::kOff);
    Env env = host_env();
    env.nvrtc_path = "/nonexistent/libnvrtc.so";
    env.cache.prebuilt_directories = {folder_ / "made"};
    KernelCompiler compiler(env);
    return compiler.compile(specs_[which]).binary == right_[which] ? kServed : kWrongBytes;
  } catch (const Error& error) {
    return error.code() == ErrorCode::kCompiler ? kMissed : kWrongBytes;
  }

  const Folder folder_;
  const std::vector<Spec> specs_ = some_specs(Target::kSm90a, 2);
  std::vector<std::vector<std::byte>> right_;
};

/// This user, and where it may be, another.
std::vector<uid_t> users() {
  if (::geteuid() == 0) return {0, kNobody};
  std::cout << "as this user only: root alone can become another\n";
  return {::geteuid()};
}

}  // namespace

TEST_CASE("prebuilt kernels serve a process without NVRTC, of any user") {
  const Prebuilt prebuilt;
  for (const uid_t user : users()) {
    INFO("user " << user);
    CHECK(prebuilt.ask(0, user) == kServed);
    CHECK(prebuilt.ask(1, user) == kServed);
  }
}

TEST_CASE("a prebuilt file that is not as its manifest says is a miss, and the others serve") {
  const Prebuilt prebuilt;
  const std::string good = read_bytes(prebuilt.paths[0]);
  const auto check = [&](const std::string& bytes) {
    write_bytes(prebuilt.paths[0], bytes);
    for (const uid_t user : users()) {
      CHECK(prebuilt.ask(0, user) == kMissed);
      CHECK(prebuilt.ask(1, user) == kServed);
    }
    // It is nobody's but its maker's.
    CHECK(read_bytes(prebuilt.paths[0]) == bytes);
  };
  SECTION("a byte") {
    for (std::size_t at = 0; at < good.size(); at += 61) {
      INFO("offset " << at);
      std::string bad = good;
      bad[at] ^= 0x20;
      check(bad);
    }
  }
  SECTION("its end") { check(good.substr(0, good.size() - 1)); }
  SECTION("another valid entry of the key") {
    const std::string key = fs::path(prebuilt.paths[0]).stem().string();
    // Of the same size: nothing but the manifest's digest tells them apart.
    const std::size_t rest = good.size() - cache::encode({key, "allnorm_one_shot", "{}", ""}).size();
    check(cache::encode({key, "allnorm_one_shot", "{}", std::string(rest, 'e')}));
  }
  SECTION("another's entry") { check(read_bytes(prebuilt.paths[1])); }
  SECTION("a symbolic link") {
    fs::rename(prebuilt.paths[0], prebuilt.paths[0] + ".moved");
    fs::create_symlink(prebuilt.paths[0] + ".moved", prebuilt.paths[0]);
    CHECK(prebuilt.ask(0, ::geteuid()) == kMissed);
  }
  SECTION("nothing") {
    fs::remove(prebuilt.paths[0]);
    CHECK(prebuilt.ask(0, ::geteuid()) == kMissed);
    CHECK(prebuilt.ask(1, ::geteuid()) == kServed);
  }
}

TEST_CASE("a manifest that was tampered with serves nothing wrong") {
  const Prebuilt prebuilt;
  const std::string good = read_bytes(prebuilt.manifest_path);
  int served = 0;
  for (std::size_t at = 0; at < good.size(); at += 13) {
    INFO("offset " << at);
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write_bytes(prebuilt.manifest_path, bad);
    const Answer answer = prebuilt.ask(0, ::geteuid());
    CHECK((answer == kServed || answer == kMissed));
    served += answer == kServed ? 1 : 0;
  }
  // A changed Spec or another entry's line is no harm to the first; most of the text is.
  CHECK(served < static_cast<int>(good.size() / 13));
  for (const std::string& text : {std::string(), std::string("{}"), good.substr(0, good.size() / 2)}) {
    write_bytes(prebuilt.manifest_path, text);
    CHECK(prebuilt.ask(0, ::geteuid()) == kMissed);
  }
  fs::remove(prebuilt.manifest_path);
  CHECK(prebuilt.ask(0, ::geteuid()) == kMissed);
  write_bytes(prebuilt.manifest_path, good);
  CHECK(prebuilt.ask(0, ::geteuid()) == kServed);
}
