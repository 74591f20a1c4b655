// Processes that are killed while they compile: the cache stays whole, and nobody waits for the dead.
//
// ALLNORM_TEST_SEED chooses the moments, ALLNORM_TEST_KILLS how many there are (40).
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cache/listing.h"
#include "cache/prune.h"
#include "cache_fixture.h"
#include "catch.h"
#include "child.h"
#include "kernels.h"

using namespace allnorm;
using namespace allnorm::testing;
using namespace std::chrono_literals;
using allnorm::cache::StoredFile;
using allnorm::cache::test::Folder;
using allnorm::cache::test::read_bytes;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSpecs = 4;
/// Large, so that much of a life is spent on the disk.
constexpr const char* kLargeCubin = "1000000";
/// Less than a process waits for another that holds a lock, so that a lock of the dead is seen.
constexpr std::chrono::milliseconds kPatience = 8s;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* const given = std::getenv(name);
  return given == nullptr || *given == '\0' ? otherwise : std::strtoull(given, nullptr, 10);
}

/// Removes what is there or half of it, so that there is something to compile.
void thin_out(const std::string& directory, std::mt19937_64& random) {
  if (random() % 2 == 0) {
    fs::remove_all(directory);
    return;
  }
  std::vector<std::string> reasons;
  for (const StoredFile& file : cache::list_files(directory, cache::FileSystem::real(), reasons)) {
    if (random() % 2 == 0) fs::remove(file.path);
  }
}

/// How many temporary files there are. All entries must be whole, and there must be nothing else.
int check_whole(const std::string& directory) {
  std::vector<std::string> reasons;
  int temporary = 0;
  for (const StoredFile& file : cache::list_files(directory, cache::FileSystem::real(), reasons)) {
    INFO(file.path);
    std::string reason;
    if (file.kind == StoredFile::Kind::kTemporary) {
      temporary++;
    } else {
      CHECK(file.kind == StoredFile::Kind::kEntry);
      CHECK(cache::decode(read_bytes(file.path), file.key, reason).has_value());
      CHECK(reason.empty());
    }
  }
  CHECK(reasons.empty());
  return temporary;
}

/// Processes of one target in one cache.
class Victims {
 public:
  explicit Victims(Target target)
      : arguments_{to_string(target), std::to_string(kSpecs)}, variables_(stub_variables(folder_, 1)) {
    const Variable size("ALLNORM_STUB_BYTES", kLargeCubin);
    variables_["ALLNORM_STUB_BYTES"] = kLargeCubin;
    Env env = stub_env();
    env.cxx_path = variables_.at("ALLNORM_CXX");
    digests_ = right_digests(env, some_specs(target, kSpecs));
    const auto begin = Clock::now();
    check_healthy();
    whole_ = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
  }

  /// Some of three that run at once are killed, at a moment of their lives. Returns how many the kill met alive.
  int kill_some(std::mt19937_64& random) {
    thin_out(directory_, random);
    Gate gate;
    std::vector<Child> children;
    for (int i = 0; i < 3; i++) children.emplace_back(arguments_, variables_, gate);
    gate.open();
    std::this_thread::sleep_for(whole_ * static_cast<std::int64_t>(random() % 800) / 1000);
    const std::uint64_t doomed = 1 + random() % 7;
    for (std::size_t i = 0; i < children.size(); i++) {
      if ((doomed >> i & 1) != 0) children[i].kill();
    }
    int killed = 0;
    for (std::size_t i = 0; i < children.size(); i++) {
      const Child::End end = children[i].wait(kPatience);
      killed += end.killed ? 1 : 0;
      if ((doomed >> i & 1) == 0) CHECK(end.well);
      if (end.well) CHECK(end.digests == digests_);
    }
    return killed;
  }

  /// What the killed left is whole; a process finds its kernels or makes them; a prune leaves nothing but entries.
  /// Returns how many temporary files it removed.
  int check_clean() {
    const int temporary = check_whole(directory_);
    check_healthy();
    const cache::PruneResult pruned =
        cache::prune(directory_, cache::kNoLimit, cache::kNoLimit, cache::FileSystem::real());
    CHECK(pruned.reasons.empty());
    CHECK(pruned.entries_left == kSpecs);
    CHECK(check_whole(directory_) == 0);
    return temporary;
  }

 private:
  void check_healthy() {
    const Child::End end = run_child(arguments_, variables_, kPatience);
    CHECK(end.well);
    CHECK(end.digests == digests_);
  }

  Folder folder_;
  std::string directory_ = folder_ / "cache";
  std::vector<std::string> arguments_;
  Variables variables_;
  std::vector<std::string> digests_;
  std::chrono::microseconds whole_{};  ///< What a life takes.
};

}  // namespace

TEST_CASE("a kill at any moment leaves a whole cache, and the next process goes on") {
  const std::uint64_t moments = setting("ALLNORM_TEST_KILLS", 40);
  const std::uint64_t seed = setting("ALLNORM_TEST_SEED", std::random_device()());
  std::cout << "seed " << seed << std::endl;
  INFO("ALLNORM_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  Victims gpu(Target::kSm90a);
  Victims host(Target::kHost);
  std::uint64_t met = 0;
  std::uint64_t tried = 0;
  int killed = 0;
  int temporary = 0;
  // A moment counts if somebody was still there to be killed.
  for (; met < moments && tried < 10 * moments; tried++) {
    INFO("moment " << tried);
    Victims& victims = tried % 4 == 0 ? host : gpu;
    const int now = victims.kill_some(random);
    temporary += victims.check_clean();
    killed += now;
    met += now > 0 ? 1 : 0;
  }
  std::cout << met << " moments of " << tried << ": " << killed << " processes killed, " << temporary
            << " temporary files left and swept\n";
  CHECK(met == moments);
}

TEST_CASE("a compiler whose process was killed holds no lock") {
  const Folder folder;
  const Variables slow = stub_variables(folder, 20'000);
  Gate gate;
  Child victim({"host", "1"}, slow, gate);
  gate.open();
  const auto begin = Clock::now();
  while (read_bytes(folder / "sleeping").empty() && Clock::now() - begin < 20s) std::this_thread::sleep_for(5ms);
  const pid_t sleeping = std::atoi(read_bytes(folder / "sleeping").c_str());
  REQUIRE(sleeping > 0);
  victim.kill();
  CHECK(victim.wait().killed);

  // The same compiler by its identity, and so for the same entry; the first still runs.
  const Folder other;
  Variables quick = stub_variables(other, 0);
  quick["ALLNORM_CACHE_DIR"] = slow.at("ALLNORM_CACHE_DIR");
  const auto start = Clock::now();
  const Child::End end = run_child({"host", "1"}, quick, kPatience);
  CHECK(end.well);
  CHECK(end.compiled == 1);
  CHECK(Clock::now() - start < kPatience);
  CHECK(::kill(sleeping, SIGKILL) == 0);  // So it was still there.
}
