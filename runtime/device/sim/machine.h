// Machine: a number of simulated GPUs in one process, their memory, their streams, and what runs on them.
//
// Launches are queued; they run when somebody synchronises, on the thread of the host that does. Kernels of all GPUs
// take turns there, as the Schedule says: the same calls with the same Schedule give the same run, to the last choice.
// docs/simulator.md says what is modelled.
//
// Threads: any, one at a time inside. If several threads of the host use the machine, one that finds nothing that can
// go on waits for the others in real time, up to a minute, before simulated time runs ahead; with one thread nobody
// can. Errors: a fault of a kernel, a deadlock, and a step budget that is used up throw kSimulation from whatever ran
// the machine; all work that was queued is dropped then, and the machine can be used again. A thread of the host whose
// work another one's failure has dropped gets the same error when it synchronises.
#ifndef ALLNORM_DEVICE_SIM_MACHINE_H_
#define ALLNORM_DEVICE_SIM_MACHINE_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "device/sim/choices.h"
#include "device/sim/memory.h"
#include "device/sim/store_buffer.h"
#include "device/sim/threads.h"

namespace allnorm::sim {

struct MachineOptions {
  int devices = 1;
  unsigned multiprocessors = 16;  ///< Of each; as on a GPU, 2048 threads fit on one, here as CTAs of 1024 or more.
};

/// Recorded launches, as a CUDA graph.
struct Graph {
  std::vector<Launch> launches;
};

struct Stream {
  int device = 0;
  bool non_blocking = true;
  std::deque<std::unique_ptr<Grid>> grids;  ///< That have not completed, in order.
  std::unique_ptr<Graph> capture;           ///< While it is captured.
  std::thread::id last_host;                ///< Who launched last.
  std::string failure;                      ///< That dropped what that host had launched, and that it was not told of.
};

struct Statistics {
  std::uint64_t launches = 0;
  std::uint64_t steps = 0;         ///< Of the scheduler.
  std::uint64_t stores = 0;        ///< Elements that arrived.
  std::uint64_t stale = 0;         ///< Elements that a load found stale.
  std::uint64_t interleaving = 0;  ///< A digest of the order of all arrivals and of all strong loads.
};

class Machine {
 public:
  /// Throws kInvalidArgument, kDriver.
  explicit Machine(const MachineOptions& options);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  const MachineOptions& options() const noexcept { return options_; }
  /// From now on; clock, step count, statistics and decisions start anew. Throws kInvalidArgument while something is
  /// queued.
  void set_schedule(const Schedule& schedule);
  /// What a run under Policy::kReplay has decided.
  std::vector<Choices::Decision> decisions();
  Statistics statistics();

  // --- memory. The host's accesses are immediate, beside kernels, and see what has arrived.
  enum class Reach : std::uint8_t { kOwnDevice, kAllDevices };
  void* allocate(std::size_t bytes, int device, Reach reach, const std::string& name);
  /// An address that stands for the same place of each of these; kernels store there with store_multicast alone.
  void* allocate_multicast(std::span<void* const> of_ranks, std::size_t bytes);
  void free(void* memory) noexcept;
  /// The range that holds the address, and its device; -1 if it is no memory of the machine, or was freed.
  struct Range {
    int device = -1;
    Address begin = 0;
    Address end = 0;
  };
  Range range_of(const void* address);
  // Throw kInvalidArgument for a range that does not lie within one allocation.
  void write(void* to, const void* from, std::size_t bytes);
  void read(void* to, const void* from, std::size_t bytes);
  void fill(void* to, std::uint32_t word, std::size_t bytes);

  // --- streams
  Stream* create_stream(int device, bool non_blocking);
  /// Waits for what it holds.
  void destroy_stream(Stream* stream);
  /// Null means the device's default stream; a handle that is no stream of this machine gives null.
  Stream* find_stream(void* handle, int device);
  /// Throws kInvalidArgument for no clusters.
  void launch(Stream* stream, const Launch& launch);
  void begin_capture(Stream* stream);
  Graph end_capture(Stream* stream);
  void launch(Stream* stream, const Graph& graph);

  // --- running
  void synchronize(int device);
  void synchronize(Stream* stream);
  void synchronize_all();
  /// Runs at most so many steps of the scheduler. False if nothing is left to run.
  bool run(std::uint64_t steps);

  /// Of a device, in threads; a CTA takes cta_cost().
  unsigned capacity() const noexcept { return options_.multiprocessors * 2048; }
  static unsigned cta_cost(const Kernel& kernel) noexcept;

 private:
  friend class Operations;
  friend class Report;
  using Lock = std::unique_lock<std::mutex>;

  Lock enter();
  Allocation& checked(const void* address, std::size_t bytes, const char* what);

  void finish(const std::function<bool(const Stream&)>& is_meant);

  // run.cc
  void run_until(Lock& lock, std::uint64_t steps, const std::function<bool()>& done);
  bool step(Lock& lock);
  bool idle(Lock& lock);
  void tell_failure(const std::function<bool(const Stream&)>& is_meant);
  void run_warp(Warp& warp);
  void run_lane(Thread& thread);
  bool arrives_now();
  void commit_some_store();
  void replay_step();
  void made_progress() noexcept;
  void release_stalled();
  bool is_starved(const Grid& grid) const noexcept;
  [[noreturn]] void fail(const std::string& message);
  void drop_everything();

  // launch.cc
  void enqueue(Stream* stream, const Launch& launch);
  static bool may_start(const Stream& stream, std::size_t which);
  void find_startable();
  bool has_room(const Grid& grid) const noexcept;
  bool start_some_cluster();
  void start_cluster(Grid& grid, unsigned index);
  static void run_thread(void* thread);
  void thread_ended(Thread& thread);
  void cta_triggered(Cta& cta);
  void complete_if_done(Grid& grid);

  // meeting.cc
  void set_ready(Thread& thread);
  void set_blocked(Thread& thread, ThreadState state);
  void complete_barrier(Barrier& barrier, Thread* last);
  void complete_cluster_barrier(Cluster& cluster);
  void complete_meetings_without(Thread& ended);

  // visibility.cc
  bool is_ordered(const Thread& first, Time when, const Thread& then) const noexcept;
  std::uint32_t issue(Thread& thread, Allocation& allocation, Address address, std::uint64_t value, unsigned bytes,
                      bool adds);
  void commit(std::uint32_t store);
  void commit_element(std::uint32_t store);
  void remember_overwritten(const PendingStore& store, const Page& page);
  void commit_before_release(Thread& thread);
  std::uint64_t load(Thread& thread, Allocation& allocation, Address address, unsigned bytes, bool may_be_stale,
                     bool& written);
  bool find_stale(Thread& thread, Address word, std::uint32_t& value);
  void watch(Thread& thread, Address address, unsigned bytes, const void* found);
  void stop_watching(Thread& thread);
  bool sees_a_change(Thread& thread);
  void park(Thread& thread);
  void wake_watchers(Address address, std::size_t bytes);
  void trace(std::uint64_t a, std::uint64_t b) noexcept;

  MachineOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int> waiting_hosts_ = 0;
  bool is_running_ = false;
  std::thread::id first_host_;
  bool several_hosts_ = false;
  bool waited_for_hosts_ = false;

  Memory memory_;
  StoreBuffer stores_;
  FiberStacks stacks_;
  FiberHost host_;
  Schedule schedule_;
  Choices choices_;

  std::vector<std::unique_ptr<Stream>> streams_;  ///< The first ones are the devices' default streams.
  std::vector<unsigned> used_;                    ///< Of each device's capacity.
  std::vector<Grid*> startable_;                  ///< With clusters that wait for room.
  std::vector<Warp*> ready_;
  std::vector<Thread*> polling_;
  std::vector<Thread*> stalled_;
  std::unordered_map<Address, std::vector<Thread*>> watchers_;  ///< By 16-byte line.
  bool look_for_startable_ = false;
  bool a_grid_completed_ = false;
  std::optional<std::string> fault_;           ///< Of the thread that ran last.
  std::uint64_t operations_at_a_stretch_ = 0;  ///< Likewise, since it was resumed.
  std::uint64_t accesses_at_a_stretch_ = 0;    ///< Likewise, of memory that others see; without weak loads.

  /// What a word held before it was last overwritten, in a small direct-mapped table.
  struct Overwritten {
    Address word = 0;
    Time until = 0;
    std::uint32_t value = 0;
    const Cluster* by = nullptr;
  };
  std::vector<Overwritten> overwritten_;
  Overwritten& overwritten_of(Address word) noexcept;

  Time arrivals_ = 1;                    ///< Counts stores that arrived.
  Time issues_ = 1;                      ///< Counts stores that were issued, accesses to shared memory, and barriers.
  std::uint64_t clock_ = 0;              ///< Nanoseconds.
  std::uint64_t clock_of_progress_ = 0;  ///< When something last arrived, ended or met.
  std::uint64_t idle_nanoseconds_ = 0;   ///< That the next idling takes.
  Statistics statistics_;
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_MACHINE_H_
