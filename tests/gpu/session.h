// A Session: a World with a stream and memory for each rank, which runs cases and says what was wrong.
#ifndef ALLNORM_TESTS_GPU_SESSION_H_
#define ALLNORM_TESTS_GPU_SESSION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "allnorm/workspace.h"
#include "calls/verify.h"
#include "gpu/gpu.h"

namespace allnorm::gpu_tests {

/// The one Context of the process: kernels are compiled once, whatever test uses them.
Context& shared_context();

/// Calls did not end in time. The message has the status of every rank.
class Stuck : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// `world_size` ranks, each on a GPU of its own (`virtual_ranks` false), or all on GPU 0.
std::vector<int> devices_for(int world_size, bool virtual_ranks);

/// Meets the other ranks where a launcher has made this process one of them; null where it has not. Once a process.
Bootstrap* launched_bootstrap();

/// In a process that is a rank, a Session of ranks on GPUs of their own has that rank alone, and the other processes do
/// the same. Ranks are counted from 0 here, whichever they are in the World.
class Session {
 public:
  explicit Session(const WorldOptions& options);
  /// This process's rank of a group.
  Session(Bootstrap& bootstrap, const WorldOptions& options);

  World& world() noexcept { return *world_; }
  /// Ranks here.
  int size() const noexcept { return static_cast<int>(ranks_.size()); }
  /// What rank 0 here is in the World.
  int first_rank() const noexcept { return first_rank_; }
  Workspace& workspace(int rank) { return world_->rank(first_rank_ + rank); }
  /// Waits for the other processes, if there are any.
  void meet();
  /// Whether it is so for any process.
  bool anywhere(bool here);
  GpuStream& stream(int rank) { return ranks_[static_cast<std::size_t>(rank)]->stream; }
  bool fits(const Case& c);
  /// Launches of the ranks by a thread each. Otherwise one thread launches for all, case by case.
  void use_a_thread_per_rank() noexcept { thread_per_rank_ = true; }
  void set_wait_seconds(double seconds) noexcept { wait_seconds_ = seconds; }

  /// Runs the cases back to back, in batches that fit memory, and verifies them. Throws Stuck.
  std::vector<Failure> run(std::span<const Case> cases);
  /// As run(), but gives what the cases left in placement.outputs, for each rank, case after case.
  std::vector<std::vector<std::vector<std::uint8_t>>> outputs_of(std::span<const Case> cases);

  // The steps of run(), for tests that do something else between.
  /// Places the cases, and makes their inputs and the poison of their outputs.
  void load(std::span<const Case> cases);
  const std::vector<Placement>& placements() const noexcept { return placements_; }
  AnyCall call(std::size_t index, int rank) const;
  void prepare();
  void enqueue(std::size_t index, int rank);
  /// For all ranks. Throws Stuck, after an abort.
  void wait();
  /// Makes inputs and poison again.
  void refill();
  std::vector<Failure> verify_loaded();

  std::byte* memory(int rank) const { return ranks_[static_cast<std::size_t>(rank)]->arena->data(); }
  std::size_t output_bytes() const noexcept { return output_bytes_; }

 private:
  struct Rank {
    explicit Rank(Gpu& gpu) : stream(gpu) {}
    GpuStream stream;
    std::unique_ptr<GpuBuffer> arena;
    std::unique_ptr<GpuBuffer> jobs;
    std::size_t job_count = 0;
    std::unique_ptr<std::uint8_t[]> image;
    std::size_t image_bytes = 0;
  };

  void begin(Bootstrap& bootstrap, const WorldOptions& options);
  void reserve(Rank& rank, std::size_t bytes);
  void launch_all();
  void fetch();

  Bootstrap* bootstrap_ = nullptr;
  int first_rank_ = 0;
  std::unique_ptr<World> world_;
  std::vector<std::unique_ptr<Rank>> ranks_;
  std::vector<Case> cases_;
  std::vector<Placement> placements_;
  std::size_t output_bytes_ = 0;
  bool thread_per_rank_ = false;
  double wait_seconds_ = 60;
};

/// Compiles and loads, on all threads of the host, what the cases need. One Preparer serves many sets of cases.
class Preparer {
 public:
  explicit Preparer(const WorldOptions& options);
  void prepare(std::span<const Case> cases);

 private:
  std::vector<std::unique_ptr<World>> worlds_;  ///< One a thread: a World is used by one thread at a time.
};

/// The largest tokens for which the receive buffers of all ranks on a GPU take no more than `bytes`.
std::int64_t tokens_that_fit(WorldOptions options, std::int64_t most, std::size_t bytes);

}  // namespace allnorm::gpu_tests

#endif  // ALLNORM_TESTS_GPU_SESSION_H_
