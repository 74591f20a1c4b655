// World and Workspace: the memory through which the ranks of a tensor-parallel group meet.
//
// A World is a group of ranks. Either all of them are in this process: each on a GPU of its own, or several (virtual
// ranks, for tests and demonstrations) on one. Or each is a process with a GPU of its own, and they meet through a
// Bootstrap. Its Workspaces hold the receive buffers, mapped into every rank's GPU, and the rotation state of the
// protocol, which lives on the device, so that CUDA graphs replay.
//
// Lifetime: the Context and the Bootstrap outlive the World; the World outlives every call on its Workspaces, and every
// graph that captured one. Destroying it waits for this process's GPUs; another process may go on by itself, and its
// calls end at their deadline. A group is made anew by making a new World, over a new Bootstrap, in every process.
// With multicast all ranks must have finished their calls, and have met since, before any of them destroys its World.
// Threads: one call in flight per Workspace, each Workspace used by one thread at a time; different Workspaces may be
// used from different threads. status() and abort() may be called from any thread at any time, but during suspend() and
// resume().
// Several Worlds: a call may take a whole GPU and waits there for its peers. Calls of different Worlds that share GPUs
// must therefore be ordered the same way on each of them (one stream, or events); side by side they can block each
// other. Agreement: all ranks make the same calls in the same order, with the same tokens, hidden_dim, dtype, quant and
// strategy. Ranks that do not agree wait for each other until the deadline, unless WorldOptions::checked finds it.
#ifndef ALLNORM_WORKSPACE_H_
#define ALLNORM_WORKSPACE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "allnorm/bootstrap.h"
#include "allnorm/context.h"
#include "allnorm/error.h"
#include "allnorm/types.h"

namespace allnorm {

struct WorldOptions {
  /// The GPU of each rank; empty with a Bootstrap. A GPU named more than once (at most 8 times) carries virtual ranks,
  /// whose streams must be non-blocking and whose calls ignore launch_with_pdl.
  std::vector<int> devices;
  /// The largest row that any call will have: hidden_dim times the size of an element.
  std::int64_t max_row_bytes = 0;
  /// The most tokens of a one-shot call; 0: no one-shot calls.
  std::int64_t max_tokens_one_shot = 0;
  /// The most tokens of a two-shot call; 0: no two-shot calls.
  std::int64_t max_tokens_two_shot = 0;
  /// How long a call waits for a peer, in seconds; 0: for ever. Not set: $ALLNORM_TIMEOUT_SECONDS, or 30.
  std::optional<double> timeout_seconds{};
  /// Store by multicast where that can be; $ALLNORM_MULTICAST=1 asks for it, too. Any of NCCL_NVLS_ENABLE=0,
  /// NVSHMEM_DISABLE_NVLS=1 and TORCH_SYMM_MEM_DISABLE_MULTICAST=1 forbids it, on whichever rank. A test at creation
  /// decides; where it cannot be, all ranks store to each peer, and the log says why (info). With a Bootstrap all ranks
  /// must ask for it. It was never run on hardware.
  bool multicast = false;
  /// Checked mode: before each call the ranks compare its number, tokens, hidden_dim, dtype, quant and strategy, on the
  /// device and so in graphs, too; $ALLNORM_CHECKED=1 asks for it as well. Where they differ, all ranks' calls end and
  /// status() says what differs (kMismatch). A call that throws is compared, too, unless it throws for its stream or a
  /// suspended World; where it does not differ it has not been made, and can be. For finding faults: it costs a kernel
  /// and a round trip a call. With a Bootstrap all ranks must ask for it.
  bool checked = false;
};

/// Whether a rank's calls are still good, and if not, who gave up waiting for whom.
struct WorkspaceStatus {
  bool healthy = true;
  ErrorCode code = ErrorCode::kTimeout;  ///< kTimeout, kAborted or kMismatch; meaningful when not healthy.
  int rank = -1;                         ///< The rank that gave up first; kMismatch: the first that differs.
  int waited_for = -1;                   ///< The rank that it waited for, or differs from.
  std::int64_t row = -1;
  std::string phase;  ///< "one-shot", "scatter" or "broadcast"; "comparison" in checked mode.
  Strategy strategy = Strategy::kOneShot;
  std::uint64_t epoch = 0;  ///< How many calls of the strategy that row had finished; comparison: calls of the World.
  std::string message;      ///< All of this in a sentence, with what to do next.
};

class ALLNORM_EXPORT Workspace {
 public:
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  int rank() const noexcept;
  int world_size() const noexcept;
  /// The number of this rank's GPU.
  int device() const noexcept;
  /// Whether the ranks store by multicast: it was asked for, and can be.
  bool uses_multicast() const noexcept;

  /// The most tokens of a call; 0 if its rows do not fit.
  std::int64_t max_tokens(Strategy strategy, int hidden_dim, DataType dtype) const noexcept;
  /// Bytes of receive buffers that a rank of such a World takes (the driver rounds up to 2 MiB; 16 bytes a row of state
  /// come on top). Throws kInvalidArgument.
  static std::int64_t required_bytes(const WorldOptions& options);
  /// The same for a group of processes, of which options do not name the devices.
  static std::int64_t required_bytes(const WorldOptions& options, int world_size);

  /// Reads the device; does not wait for calls that run.
  WorkspaceStatus status() const;
  /// Ends all waits of this rank's and its peers' calls. The World is of no use until World::reset().
  void abort();
  /// Also for calls already captured in graphs. Seconds; 0: wait for ever.
  void set_timeout(double seconds);

  class ALLNORM_HIDDEN Impl;
  explicit Workspace(std::unique_ptr<Impl> impl);
  Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

class ALLNORM_EXPORT World {
 public:
  /// Throws kInvalidArgument, kUnsupported (no peer access between two GPUs, a GPU without a kernel target), kDriver,
  /// kInvalidTable (a table that was named and cannot be read).
  World(Context& context, const WorldOptions& options);
  /// One rank of a group of processes, on this GPU, as this process numbers it. All ranks do this together, with the
  /// same sizes, kernels and tuned table, on GPUs of one kind. Throws the same error on all of them, which names the
  /// rank to blame, and leaves nothing behind: besides the above kPeer, and kInvalidArgument if they do not agree.
  World(Context& context, Bootstrap& bootstrap, int device, const WorldOptions& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int size() const noexcept;
  /// Of this process. Throws kInvalidArgument.
  Workspace& rank(int rank);
  /// The rank of this process; where all are here, rank 0.
  Workspace& own() noexcept;
  /// After a timeout or an abort: waits for all GPUs, renews buffers and state. Graphs captured before go on working.
  /// With a Bootstrap all ranks do this together.
  void reset();
  /// Waits for all GPUs and gives the memory of the receive buffers back to the driver; addresses and kernels stay, so
  /// that graphs captured before work again after resume(), which makes buffers and state anew, as reset() does. Until
  /// then calls throw, no such graph may be launched, and status() says "suspended" and healthy. With a Bootstrap all
  /// ranks do both together. Throws kDriver (resume: memory that is no longer free; it may be called again, and so may
  /// suspend(), to give back what it had), kPeer, kUnsupported (with multicast).
  void suspend();
  void resume();

  class ALLNORM_HIDDEN Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace allnorm

#endif  // ALLNORM_WORKSPACE_H_
