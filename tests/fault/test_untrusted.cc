// Entries in the user's directory that are damaged, or that somebody else has put there: none is ever loaded, and a
// good one takes its place.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <set>
#include <string>

#include "allnorm/log.h"
#include "cache/store.h"
#include "cache_fixture.h"
#include "catch.h"
#include "faulty_files.h"
#include "kernels.h"

using namespace allnorm;
using namespace allnorm::testing;
using allnorm::cache::test::Folder;
using allnorm::cache::test::read_bytes;
using allnorm::cache::test::write_bytes;
namespace fs = std::filesystem;

namespace {

/// See cache/entry.h.
constexpr std::size_t kHeaderBytes = 132;
constexpr std::size_t kSampleStride = 37;

/// A cache with the entry of one Spec.
class OneEntry {
 public:
  OneEntry() {
    KernelCompiler compiler(env_, files_);
    right_ = compiler.compile(spec_).binary;
    entry_name_ = compiler.compile(spec_).entry_name;
    key_ = compiler.key(spec_).hex;
    path = store_.path_of("sm_90a", key_);
    good = read_bytes(path);
    REQUIRE(good.size() > kHeaderBytes + 600);
  }

  /// An entry that is valid in itself, with other bytes than the compiler's.
  std::string evil() const { return cache::encode({key_, entry_name_, "{}", "evil"}); }

  /// Puts the bytes where the entry is, and asks the store alone. It must be a miss, which removes the file.
  bool store_misses(const std::string& bytes) {
    write_bytes(path, bytes);
    std::string reason;
    const bool hit = store_.get("sm_90a", key_, reason).has_value();
    const bool is_gone = !fs::exists(path);
    write_bytes(path, good);
    fs::permissions(path, fs::perms(0600));
    return !hit && !reason.empty() && is_gone;
  }

  /// Asks for the kernel, with what is there now. It must be compiled, be right, and be in the cache afterwards.
  bool is_compiled_again() {
    KernelCompiler compiler(env_, files_);
    const CompiledKernel kernel = compiler.compile(spec_);
    if (kernel.from_disk_cache || kernel.binary != right_ || compiler.statistics().compiled != 1) return false;
    KernelCompiler next(env_, files_);
    const CompiledKernel found = next.compile(spec_);
    return found.from_disk_cache && found.binary == right_ && fs::symlink_status(path).type() == fs::file_type::regular;
  }

  /// The same, of these bytes in the entry's place.
  bool is_repaired(const std::string& bytes) {
    write_bytes(path, bytes);
    return is_compiled_again();
  }

  const std::string& folder() const { return folder_.path(); }
  std::string path;
  std::string good;

 private:
  const MemoryFolder memory_;
  const Folder folder_;
  const Env env_ = with_cache(stub_env(), folder_ / "cache");
  const Spec spec_ = some_specs(Target::kSm90a, 1).front();
  QuickFiles files_;
  const cache::Store store_{env_.cache.directory, files_};
  std::vector<std::byte> right_;
  std::string entry_name_;
  std::string key_;
};

/// All offsets of the header and some beyond.
std::set<std::size_t> offsets(std::size_t size) {
  std::set<std::size_t> some;
  for (std::size_t at = 0; at < size; at += at < kHeaderBytes ? 1 : kSampleStride) some.insert(at);
  some.insert(size - 1);
  return some;
}

struct Silence {
  Silence() { set_log_level(LogLevel::kOff); }
  ~Silence() { set_log_level(LogLevel::kWarn); }
};

}  // namespace

TEST_CASE("an entry with a changed byte is never loaded, and is compiled again") {
  const Silence silence;
  OneEntry cache;
  for (const std::size_t at : offsets(cache.good.size())) {
    for (int flip = 1; flip < 256; flip *= 2) {
      INFO("offset " << at << ", bits " << flip);
      std::string bad = cache.good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      if (!cache.store_misses(bad)) FAIL("the store");
    }
    std::string bad = cache.good;
    bad[at] = static_cast<char>(~bad[at]);
    INFO("offset " << at);
    if (!cache.is_repaired(bad)) FAIL("the compiler");
  }
}

TEST_CASE("an entry that is cut off anywhere is never loaded, and is compiled again") {
  const Silence silence;
  OneEntry cache;
  const std::string good = cache.good;
  for (std::size_t size = 0; size < good.size(); size++) {
    INFO("cut to " << size);
    if (!cache.store_misses(good.substr(0, size))) FAIL("the store");
  }
  for (const std::size_t size : offsets(good.size())) {
    INFO("cut to " << size);
    if (!cache.is_repaired(good.substr(0, size))) FAIL("the compiler");
  }
  CHECK(cache.is_repaired(good + "x"));
  CHECK(cache.is_repaired(std::string(good.size(), '\0')));
}

TEST_CASE("a valid entry that others could have planted is never loaded") {
  const Silence silence;
  OneEntry cache;
  write_bytes(cache.path, cache.evil());
  SECTION("the group may write it") { fs::permissions(cache.path, fs::perms(0620)); }
  SECTION("all may write it") { fs::permissions(cache.path, fs::perms(0602)); }
  SECTION("it is a symbolic link") {
    fs::rename(cache.path, cache.folder() + "/evil");
    fs::create_symlink(cache.folder() + "/evil", cache.path);
  }
  SECTION("it belongs to another user") {
    if (::chown(cache.path.c_str(), 65534, 65534) != 0) {
      std::cout << "skipped: only root can give a file away\n";
      return;
    }
  }
  CHECK(cache.is_compiled_again());
}

TEST_CASE("the test of planted entries would see one that is loaded") {
  OneEntry cache;
  CHECK_FALSE(cache.is_repaired(cache.evil()));
}
