// A fault at every file operation in turn, in every way: no call fails, no bytes are wrong, and the next healthy
// process repairs the cache.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "allnorm/log.h"
#include "cache/listing.h"
#include "cache/manifest.h"
#include "cache/prune.h"
#include "cache/sha256.h"
#include "cache_fixture.h"
#include "catch.h"
#include "faulty_files.h"
#include "kernels.h"

using namespace allnorm;
using namespace allnorm::testing;
using allnorm::cache::test::Folder;
using allnorm::cache::test::read_bytes;
using allnorm::cache::test::small_entry;
using allnorm::cache::test::write_bytes;
namespace fs = std::filesystem;

namespace {

constexpr const char* kTarget = "sm_90a";

void make_old(const std::string& path, std::chrono::hours age) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - age);
}

/// Kernels by where they are before the scenario.
enum Place : std::size_t { kPrebuilt, kKept, kCorrupt, kNowhere, kPlaces };

/// A cache with something of all that may be in one, and a process that uses all of it.
class Scenario {
 public:
  Scenario() {
    QuickFiles files;
    KernelCompiler healthy(env(), files);
    for (const Spec& spec : specs_) right_.emplace_back(text_of(healthy.compile(spec)));
    const cache::Store store(env().cache.directory, files);
    const auto path = [&](Place place) { return store.path_of(kTarget, healthy.key(specs_[place]).hex); };
    move_to_prebuilt(path(kPrebuilt), healthy.key(specs_[kPrebuilt]).hex);
    make_old(path(kKept), std::chrono::hours(2));
    std::string bytes = read_bytes(path(kCorrupt));
    bytes[bytes.size() - 10] ^= 1;  // Of the payload.
    write_bytes(path(kCorrupt), bytes);
    corrupt_ = bytes;
    fs::remove_all(fs::path(path(kNowhere)).parent_path());
    fs::remove_all(env().cache.directory + "/locks");
    std::string reason;
    for (int i = 0; i < 3; i++) {  // For the eviction.
      cache::Entry ballast = small_entry(i);
      ballast.payload.resize(2000, 'x');
      REQUIRE(store.put(kTarget, ballast, reason));
      make_old(store.path_of(kTarget, ballast.key), std::chrono::hours(100));
    }
    write_bytes(fs::path(path(kKept)).parent_path() / ".0123456789abcdef.tmp", "of a process that died");
    fs::rename(folder_ / "now", folder_ / "before");
  }

  Env env() const {
    Env env = stub_env();
    env.cache.directory = folder_ / "now/cache";
    env.cache.prebuilt_directories = {folder_ / "now/prebuilt"};
    env.record_specs = folder_ / "now/cache/specs";
    return env;
  }

  /// All as it is before.
  void reset() const {
    fs::remove_all(folder_ / "now");
    fs::copy(folder_ / "before", folder_ / "now", fs::copy_options::recursive);
    for (const auto& item : fs::recursive_directory_iterator(folder_ / "before")) {
      if (!item.is_regular_file()) continue;
      const std::string name = folder_ / "now/" + fs::relative(item.path(), folder_ / "before").string();
      fs::last_write_time(name, item.last_write_time());
      fs::permissions(name, fs::perms(0600));
    }
  }

  /// What each kernel came out as, every one asked for twice; then, cleans up as `allnorm cache prune` does.
  std::vector<std::string> run(cache::FileSystem& files) const {
    Env small = env();
    small.cache.max_bytes = 5000;
    KernelCompiler compiler(small, files);
    std::vector<std::string> texts;
    for (int round = 0; round < 2; round++) {
      for (const Spec& spec : specs_) texts.emplace_back(text_of(compiler.compile(spec)));
    }
    cache::prune(small.cache.directory, 3000, 2000, files);
    return texts;
  }

  bool all_right(const std::vector<std::string>& texts) const {
    for (std::size_t i = 0; i < texts.size(); i++) {
      if (texts[i] != right_[i % right_.size()]) return false;
    }
    return texts.size() % right_.size() == 0;
  }

  /// Whether an entry is not whole, but for the one that was so before.
  bool has_torn_entry() const {
    std::vector<std::string> reasons;
    std::string reason;
    QuickFiles files;
    const std::vector<cache::StoredFile> all = cache::list_files(env().cache.directory, files, reasons);
    return std::any_of(all.begin(), all.end(), [&](const cache::StoredFile& file) {
      const std::string bytes = read_bytes(file.path);
      return file.kind == cache::StoredFile::Kind::kEntry && bytes != corrupt_ &&
             !cache::decode(bytes, file.key, reason);
    });
  }

  /// Empty if a healthy process finds or makes every kernel, leaves them in the cache, and a prune cleans up.
  std::string why_not_repaired() const {
    QuickFiles files;
    Env env = this->env();
    env.record_specs.clear();
    for (const bool is_warm : {false, true}) {
      KernelCompiler compiler(env, files);
      std::vector<std::string> texts;
      for (const Spec& spec : specs_) texts.emplace_back(text_of(compiler.compile(spec)));
      if (!all_right(texts)) return "wrong bytes";
      if (is_warm && compiler.statistics().compiled != 0) return "a kernel was not kept";
    }
    std::vector<std::string> reasons = cache::prune(env.cache.directory, cache::kNoLimit, 0, files).reasons;
    if (!reasons.empty()) return "prune: " + reasons.front();
    for (const cache::StoredFile& file : cache::list_files(env.cache.directory, files, reasons)) {
      std::string reason;
      if (file.kind != cache::StoredFile::Kind::kEntry) return "it is left: " + file.path;
      if (!cache::decode(read_bytes(file.path), file.key, reason)) return file.path + ": " + reason;
    }
    return reasons.empty() ? "" : "list: " + reasons.front();
  }

 private:
  void move_to_prebuilt(const std::string& path, const std::string& key) const {
    const std::string bytes = read_bytes(path);
    const std::string to = cache::entry_path(folder_ / "now/prebuilt", kTarget, key);
    fs::create_directories(fs::path(to).parent_path());
    fs::rename(path, to);
    const cache::ManifestEntry entry = {kTarget, key, static_cast<std::int64_t>(bytes.size()),
                                        cache::to_hex(cache::sha256(bytes)), "{}"};
    write_bytes(folder_ / "now/prebuilt/manifest.json", cache::to_json({"test", {entry}}));
  }

  const MemoryFolder memory_;
  const Folder folder_;
  const std::vector<Spec> specs_ = some_specs(Target::kSm90a, kPlaces);
  std::vector<std::string> right_;
  std::string corrupt_;
};

/// Every point would log what it met.
class Silence {
 public:
  Silence() { set_log_level(LogLevel::kOff); }
  ~Silence() { set_log_level(LogLevel::kWarn); }
};

}  // namespace

TEST_CASE("a fault at any file operation fails no call and gives no wrong bytes, and the cache is repaired") {
  const Silence silence;
  const Scenario scenario;
  std::set<std::string> calls;
  std::size_t points = 0;
  std::size_t last = 0;
  for (const Fault fault : kFaults) {
    for (std::size_t at = 1;; at++) {
      scenario.reset();
      FaultyFiles files(fault, at, scenario.env().cache.directory);
      INFO(to_string(fault) << " at operation " << at);
      bool right = false;
      REQUIRE_NOTHROW(right = scenario.all_right(scenario.run(files)));
      if (files.calls() < at) break;
      last = std::max(last, at);
      if (files.hit().empty()) continue;
      INFO("which is " << files.hit());
      calls.insert(files.hit());
      points++;
      if (!right) FAIL("wrong bytes");
      if (const std::string why = scenario.why_not_repaired(); !why.empty()) FAIL(why);
    }
  }
  std::cout << points << " fault points: " << kFaults.size() << " kinds of faults at up to " << last
            << " file operations\n";
  // Every operation that there is was met.
  CHECK(calls == std::set<std::string>{"close", "create", "duplicate", "fstat", "fsync", "list", "lock", "lstat",
                                       "mkdir", "open", "read", "rename", "stat", "touch", "unlink", "unlock",
                                       "write"});
}

TEST_CASE("a process that dies at any file operation leaves a cache that the next repairs") {
  const Silence silence;
  const Scenario scenario;
  std::size_t points = 0;
  for (std::size_t at = 1;; at++) {
    scenario.reset();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      FaultyFiles files(Fault::kDies, at, "");
      scenario.run(files);
      ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0) break;
    points++;
    INFO("at operation " << at);
    if (scenario.has_torn_entry()) FAIL("an entry is torn");
    if (const std::string why = scenario.why_not_repaired(); !why.empty()) FAIL(why);
  }
  std::cout << points << " points of death\n";
  CHECK(points > 50);
}
