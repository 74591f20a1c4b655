// What the tests of `allnorm cache` share: a cache of kernels that look real, and the command that looks at it.
#ifndef ALLNORM_TESTS_UNIT_CACHE_COMMAND_H_
#define ALLNORM_TESTS_UNIT_CACHE_COMMAND_H_

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "cache/manifest.h"
#include "cache/sha256.h"
#include "cache/store.h"
#include "catch.h"
#include "command.h"
#include "dispatch/spec_text.h"
#include "host_kernel.h"
#include "jit/compiler.h"

#ifdef ALLNORM_COMMAND

namespace allnorm::command_test {

using testing::host_env;
using testing::host_spec;
using testing::with_cache;

using Json = nlohmann::json;

/// The Spec that `--hidden 512` names.
inline Spec gpu_spec(int hidden = 512) {
  Spec spec = host_spec();
  spec.target = Target::kSm90a;
  spec.hidden_dim = hidden;
  spec.geometry = default_geometry(hidden, spec.dtype, 16, spec.world_size, 132);
  return spec;
}

inline cache::Key key_of(const Spec& spec) { return KernelCompiler(host_env()).key(spec); }

/// What KernelCompiler keeps, of a compilation that was none.
inline cache::Entry entry_of(const Spec& spec, const cache::Key::Fields& changed = {}) {
  cache::KeyBuilder builder;
  for (auto [name, value] : key_of(spec).fields) {
    for (const auto& [other, instead] : changed) {
      if (name == other) value = instead;
    }
    builder.add(name, value);
  }
  const cache::Key key = builder.finish();
  Json provenance{{"nvrtc", "12.9"}, {"compile_seconds", 0.1404}, {"spec", Json::parse(to_json(spec))}};
  for (const auto& [name, value] : key.fields) provenance["key"][name] = value;
  return {key.hex, "allnorm_one_shot", provenance.dump(), "\177ELF payload of " + key.hex};
}

/// A cache with entries.
struct Kernels {
  Folder folder;
  std::string directory = folder / "cache";
  cache::Store store{directory};

  std::string put(const cache::Entry& entry, const std::string& target = "sm_90a") const {
    std::string reason;
    REQUIRE(store.put(target, entry, reason));
    return store.path_of(target, entry.key);
  }
  Outcome command(const std::string& arguments, const std::string& environment = "") const {
    return run("cache " + arguments, "ALLNORM_CACHE_DIR=" + directory + " " + environment);
  }
  Json json(const std::string& arguments, const std::string& environment = "") const {
    const Outcome outcome = command(arguments + " --json", environment);
    INFO(outcome.err);
    return Json::parse(outcome.out);
  }
};

/// A directory with a manifest, as `allnorm warm --output` makes it.
inline void make_prebuilt(const std::string& directory, const std::vector<Spec>& specs) {
  const cache::Store store(directory);
  cache::Manifest manifest{"0.1.0", {}};
  for (const Spec& spec : specs) {
    const cache::Entry entry = entry_of(spec);
    std::string reason;
    REQUIRE(store.put(to_string(spec.target), entry, reason));
    const std::string bytes = cache::encode(entry);
    manifest.entries.push_back({to_string(spec.target), entry.key, std::int64_t(bytes.size()),
                                cache::to_hex(cache::sha256(bytes)), to_json(spec)});
  }
  std::ofstream(directory + "/manifest.json") << cache::to_json(manifest);
}

/// Everything below a folder: size, mode, time of change.
inline auto snapshot(const std::string& folder) {
  std::map<std::string, std::tuple<off_t, mode_t, time_t, long>> files;
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    struct stat status{};
    REQUIRE(lstat(item.path().c_str(), &status) == 0);
    files[item.path()] = {status.st_size, status.st_mode, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
  }
  return files;
}

inline void make_older(const std::string& path, int hours) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(hours));
}

inline void overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace allnorm::command_test

#endif  // ALLNORM_COMMAND

#endif  // ALLNORM_TESTS_UNIT_CACHE_COMMAND_H_
