// What a launch is made of in the simulator: grids of clusters of CTAs of warps of threads. Plain state; the Machine
// moves it on.
#ifndef ALLNORM_DEVICE_SIM_THREADS_H_
#define ALLNORM_DEVICE_SIM_THREADS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "device/sim/fiber.h"
#include "kernels_src/host_ops.cuh"
#include "kernels_src/params.cuh"

namespace allnorm::sim {

using allnorm_kernel::SourceLine;
using KernelParams = allnorm_kernel::ParamsFor<allnorm_kernel::kMaxRanks>;

class Machine;
struct Cta;
struct Grid;

inline constexpr unsigned kWarpSize = 32;
inline constexpr unsigned kBarriersPerCta = 16;

/// A point in the order of all stores' issue (Thread::released) or arrival (Thread::view).
using Time = std::uint64_t;

enum class ThreadState : std::uint8_t {
  kReady,
  kPolling,
  kShuffle,
  kBarrier,
  kClusterBarrier,
  kDependency,
  kStalled,
  kEnded
};

/// A word that a thread has seen: it must not see an older value of it again.
struct Seen {
  std::uint64_t word = 0;
  Time time = 0;
};

struct Thread {
  Cta* cta = nullptr;
  unsigned index = 0;  ///< In the CTA.
  ThreadState state = ThreadState::kReady;
  Fiber fiber;

  // Where it is, for reports.
  const char* operation = "start";
  SourceLine at{"", 0};

  // What it must see of what others have stored.
  Time view = 0;      ///< All that had arrived by then.
  Time observed = 0;  ///< When the newest of what it has loaded had arrived.
  std::array<Seen, 8> seen{};
  unsigned next_seen = 0;
  Time released_to_cta = 0;    ///< Its stores before this are ordered before what its CTA does after a whole barrier.
  Time acquired_from_cta = 0;  ///< Likewise, for what it does itself.
  Time released_to_cluster = 0;
  Time acquired_from_cluster = 0;
  /// Of each thread of the CTA: what it did before this is ordered before what this one does, through barriers of a
  /// part of the CTA. Empty before the first of those.
  std::vector<Time> acquired_from_thread;

  // Polling: the 16-byte lines that it loaded since it last stopped for a failed poll, and what it found there.
  struct Watched {
    std::uint64_t address;
    std::uint32_t bytes;
    std::array<std::uint8_t, 16> found;
  };
  std::vector<Watched> watched;
  bool has_missed_a_change = false;  ///< It polls again at the latest when nothing else can go on.
  std::size_t polling_position = 0;  ///< In the Machine's list, while it is kPolling.

  std::uint32_t shuffle_value = 0;
  std::uint32_t shuffle_mask = 0;
  bool arrived_at_cluster = false;
  std::uint64_t cluster_phase = 0;  ///< The one that it arrived for.
  Time cluster_arrival = 0;
  std::uint64_t stalled_until_step = 0;   ///< 0: not by steps.
  std::uint64_t stalled_until_clock = 0;  ///< 0: not by time.
  std::vector<std::uint64_t> stall_counts;
};

struct Warp {
  Cta* cta = nullptr;
  unsigned first = 0;       ///< Of its threads.
  std::uint32_t ready = 0;  ///< A bit a lane.
  std::uint32_t alive = 0;
  std::uint32_t shuffling = 0;
  std::size_t position = 0;  ///< In the Machine's list of those with ready != 0.
};

struct Barrier {
  unsigned expected = 0;         ///< 0: all threads that have not ended.
  std::vector<Thread*> waiting;  ///< All but the last.
};

struct Cluster;

/// A 4-byte word of shared memory: who stored it, and who has loaded it since.
struct SharedWord {
  const Thread* writer = nullptr;
  Time written = 0;
  struct Reader {
    const Thread* thread;
    Time time;
  };
  std::vector<Reader> readers;
};

struct Cta {
  Grid* grid = nullptr;
  Cluster* cluster = nullptr;
  unsigned index = 0;  ///< In the grid.
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::array<Barrier, kBarriersPerCta> barriers;
  unsigned alive = 0;
  bool has_run = false;  ///< One of its threads has: from then on its shared memory exists.
  bool triggered = false;
  std::vector<std::uint8_t> shared;
  std::vector<SharedWord> shared_words;
};

struct Cluster {
  Grid* grid = nullptr;
  unsigned index = 0;
  std::vector<std::unique_ptr<Cta>> ctas;
  unsigned alive = 0;    ///< Threads.
  unsigned arrived = 0;  ///< Of those alive, at the cluster barrier.
  std::uint64_t phase = 0;
  Time view = 0;  ///< What those that met had seen.
  Time met = 0;   ///< When the last phase was complete.
  std::vector<Thread*> waiting;
};

/// A kernel as the Machine runs it.
struct Kernel {
  void (*entry)(const void* params) = nullptr;
  std::string name;
  unsigned threads_per_cta = 32;
  unsigned ctas_per_cluster = 1;
  bool waits_for_predecessor = false;
};

struct Launch {
  const Kernel* kernel = nullptr;
  unsigned clusters = 0;
  KernelParams params{};
};

struct Stream;

struct Grid {
  Launch launch;
  Stream* stream = nullptr;
  std::uint64_t number = 0;                        ///< Of all launches of the machine.
  Grid* predecessor = nullptr;                     ///< In the stream, while it has not completed.
  std::vector<unsigned> not_started;               ///< Clusters.
  std::vector<std::unique_ptr<Cluster>> clusters;  ///< Those that have started.
  std::size_t pending_stores = 0;
  unsigned triggered_ctas = 0;  ///< Those that ended, too.
  unsigned ended_clusters = 0;
  bool started = false;
  std::vector<Thread*> waiting;  ///< For the predecessor.

  int rank() const noexcept { return static_cast<int>(launch.params.rank); }
  unsigned ctas() const noexcept { return launch.clusters * launch.kernel->ctas_per_cluster; }
  bool all_triggered() const noexcept { return not_started.empty() && triggered_ctas == ctas(); }
  bool is_complete() const noexcept { return ended_clusters == launch.clusters && pending_stores == 0; }
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_THREADS_H_
