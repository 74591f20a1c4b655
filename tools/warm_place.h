// Where `allnorm warm` puts kernels: the user's cache, or a prebuilt directory to ship; and the manifest beside them.
//
// Nothing here but make() runs a compiler. One thread.
#ifndef ALLNORM_TOOLS_WARM_PLACE_H_
#define ALLNORM_TOOLS_WARM_PLACE_H_

#include <sys/stat.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/prebuilt_directory.h"
#include "cache/store.h"
#include "dispatch/spec.h"
#include "env/env.h"
#include "jit/compiler.h"

namespace allnorm::tools {

/// Files and folders that everybody may read, whatever the umask: a container's processes run as any user.
class SharedFiles : public cache::FileSystem {
 protected:
  int sys_open(const char* path, int flags, mode_t mode) override;
  int sys_mkdir(const char* path, mode_t mode) override;
};

struct MadeKernel {
  cache::ManifestEntry entry;
  double seconds = 0.0;  ///< In the compiler.
  bool compiled = false;
};

class WarmPlace {
 public:
  /// `output` empty: the user's cache. Throws UsageError where there is none.
  WarmPlace(Env env, const std::string& output);

  /// Absolute.
  const std::string& directory() const noexcept { return directory_; }
  std::string manifest_path() const { return directory_ + "/" + std::string(cache::kManifestName); }
  bool is_output() const noexcept { return is_output_; }
  KernelCompiler& compiler() noexcept { return compiler_; }

  /// Makes the directory. Throws UsageError if nothing can be kept there.
  void prepare();

  /// The name of the Spec's entry. Throws kCompiler where that takes a compiler and there is none.
  std::string key(const Spec& spec);
  /// What the manifest is to say about the Spec, if the directory has a valid entry.
  std::optional<cache::ManifestEntry> find(const Spec& spec);
  /// The same question, with nothing changed: find() notes the use, and removes what is not valid.
  bool has_valid(const Spec& spec);
  /// Compiles it, unless it has come meanwhile. Throws what the compiler does, and if it cannot be kept.
  MadeKernel make(const Spec& spec);

  cache::ManifestRead read_manifest();
  /// Why the directory does not have what a manifest's entry says; empty if it has.
  std::string what_is_wrong(const cache::ManifestEntry& entry);
  /// Whether the entry's file is not there, or another; one that the disk does not give is not gone.
  bool is_gone(const cache::ManifestEntry& entry);
  /// A manifest of these entries and of those in the manifest that is there, as far as they are not gone. Nothing, with
  /// the reason, where that cannot be read.
  std::optional<cache::Manifest> merge(
      const std::map<std::pair<std::string, std::string>, cache::ManifestEntry>& entries, std::string& reason);
  /// Puts it there if it is another one. False, with the reason, if it could not.
  bool write_manifest(const std::string& path, const cache::Manifest& manifest, std::string& reason);

 private:
  cache::FileSystem& files() noexcept { return is_output_ ? shared_files_ : cache::FileSystem::real(); }

  Env env_;
  bool is_output_;
  std::string directory_;
  SharedFiles shared_files_;
  cache::Store store_;
  KernelCompiler compiler_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_WARM_PLACE_H_
