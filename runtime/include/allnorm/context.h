// Context: what a process needs once: the GPUs or the simulated ones, the compiler with its cache, the environment.
//
// Create one and share it; creating several costs their own Plans and nothing else. A Context must outlive every World,
// Buffer and OwnedStream made from it. All its functions may be called from any thread.
#ifndef ALLNORM_CONTEXT_H_
#define ALLNORM_CONTEXT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "allnorm/export.h"

namespace allnorm {

struct ContextOptions {
  /// A tuned table (JSON). Empty: $ALLNORM_TABLE, then the user's folder, then the shipped tables.
  std::string table_path{};
  /// Where compiled kernels are kept; absolute. Empty: $ALLNORM_CACHE_DIR or the user's cache folder.
  std::string cache_directory{};
  /// "normal", "read-only" (nothing is written), "require-hit" (a kernel that is not there is an error) or "off".
  /// Empty: $ALLNORM_CACHE, else "normal".
  std::string cache_mode{};
  /// Directories that `allnorm warm --output` made, absolute; looked into first, then those of $ALLNORM_PREBUILT_DIRS,
  /// then the cache.
  std::vector<std::string> prebuilt_directories{};
  /// What runs the kernels. "cuda": GPUs, an error if there are none. "sim" or "sim:N": 8 or N (1 to 72) simulated GPUs
  /// on the CPU, for trying out and testing; they run when somebody synchronises, and slowly. Empty: $ALLNORM_DEVICE;
  /// else GPUs, or where there are none, "sim" with a warning in the log.
  std::string device{};
};

/// What the Context has done so far; all counts only grow.
struct ContextStatistics {
  std::uint64_t compiled = 0;    ///< Kernels compiled, not read from disk.
  std::uint64_t disk_hits = 0;   ///< Kernels read from the cache or a prebuilt directory.
  std::uint64_t loaded = 0;      ///< Kernels loaded onto a GPU.
  double compile_seconds = 0.0;  ///< Wall time in the compiler, summed over kernels.
};

class ALLNORM_EXPORT Context {
 public:
  /// Throws kDriver if GPUs were asked for and there is no usable CUDA driver or no GPU, kInvalidEnvironment,
  /// kInvalidArgument; kCompiler for a wrong ALLNORM_KERNEL_DIR. A tuned table is read when a World is made.
  explicit Context(const ContextOptions& options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// GPUs that the driver shows, or simulated ones.
  int device_count() const noexcept;
  bool is_simulated() const noexcept;
  /// Waits for everything on a GPU. Throws kInvalidArgument (no such GPU), kDriver, kSimulation.
  void synchronize(int device);
  ContextStatistics statistics() const;

  class ALLNORM_HIDDEN Impl;
  explicit Context(std::unique_ptr<Impl> impl);
  Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace allnorm

#endif  // ALLNORM_CONTEXT_H_
