#include "measure_floor.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

#include "allnorm/error.h"
#include "allnorm/workspace.h"
#include "bench_kernels.h"
#include "comm/workspace_impl.h"
#include "gpu/session.h"
#include "rank_meeting.h"

namespace allnorm::tools {
namespace {

using namespace gpu_tests;

constexpr int kTries = 5;
constexpr int kEmptyKernels = 200;
constexpr unsigned kRounds = 20000;
/// What a rank sends in one go, to all its peers together, and how often: so long that it does not matter that the
/// ranks begin some microseconds apart.
constexpr std::size_t kSendBytes = std::size_t{256} << 20;
constexpr int kSends = 8;
constexpr unsigned kStoreThreads = 512;
/// The kernels here end by themselves within two seconds.
constexpr double kWaitSeconds = 30;
constexpr std::int64_t kRowBytes = std::int64_t{kMaxHiddenDim} * 4;

std::size_t bytes_for_a_peer(int world_size) {
  return kSendBytes / static_cast<std::size_t>(world_size - 1) / 256 * 256;
}

/// The receive buffers of a World, as memory that peers can store into. No calls are made on it.
std::unique_ptr<World> make_world(const std::vector<int>& gpus, Bootstrap* bootstrap, int world_size) {
  WorldOptions options;
  options.max_row_bytes = kRowBytes;
  // Three buffers, each with a part for every source: room for what each peer sends, and flags before it.
  const std::size_t rows = bytes_for_a_peer(world_size) / (3 * static_cast<std::size_t>(kRowBytes)) + 2;
  options.max_tokens_one_shot = static_cast<std::int64_t>(rows);
  if (bootstrap != nullptr) return std::make_unique<World>(shared_context(), *bootstrap, gpus.front(), options);
  options.devices = gpus;
  return std::make_unique<World>(shared_context(), options);
}

class FloorRank {
 public:
  FloorRank(int gpu, Workspace* workspace)
      : gpu_(Gpu::at(gpu)), stream_(gpu_), begin_(gpu_), end_(gpu_), kernels_(gpu_.device()), time_(gpu_, 256) {
    if (workspace == nullptr) return;
    workspace_ = &workspace->impl();
    source_ = std::make_unique<GpuBuffer>(gpu_, kSendBytes);
    source_->fill(1);
  }

  double empty_kernel() const {
    const GpuGraph graph(stream_, [&] {
      for (int i = 0; i < kEmptyKernels; ++i) stream_.launch(kernels_.empty, 8, 1, 128);
    });
    graph.launch();
    wait();
    return time([&] { graph.launch(); }) / kEmptyKernels;
  }

  /// The time of a round trip; 0 for ranks that take no part. `attempt`: flags take values that they have not had.
  double round_trip(int attempt) const {
    if (workspace_->rank > 1) return 0;
    const unsigned rounds = kPingPongWarmUps + kRounds;
    const unsigned first = 1 + static_cast<unsigned>(attempt) * rounds;
    const int peer = 1 - workspace_->rank;
    const unsigned begins = workspace_->rank == 0 ? 1 : 0;
    stream_.launch(kernels_.ping_pong, 1, 1, 1, flag_of(workspace_->rank), flag_of(peer), first, kRounds, begins,
                   static_cast<void*>(time_.data()));
    wait();
    std::uint64_t nanoseconds = 0;
    time_.read(&nanoseconds, sizeof(nanoseconds));
    if (nanoseconds == 0) throw Error(ErrorCode::kTimeout, "stores between ranks 0 and 1 did not arrive");
    return static_cast<double>(nanoseconds) * 1e-3 / kRounds;
  }

  double stores() const {
    StorePeers peers;
    const int count = workspace_->world_size - 1;
    for (int i = 0; i < count; ++i) peers.to[static_cast<std::size_t>(i)] = place_at(peer(i));
    const std::size_t vectors = bytes_for_a_peer(workspace_->world_size) / 16;
    const auto ctas = static_cast<unsigned>(std::max(1, 2 * gpu_.device().multiprocessors() / count));
    return time_of_sends([&] {
      stream_.launch(kernels_.store, ctas, static_cast<unsigned>(count), kStoreThreads, peers,
                     static_cast<void*>(source_->data()), std::uint64_t{vectors});
    });
  }

  /// One after the other, each rank beginning with the next rank: so nobody receives from two at a time.
  double copies() const {
    const std::size_t bytes = bytes_for_a_peer(workspace_->world_size);
    return time_of_sends([&] {
      for (int i = 0; i < workspace_->world_size - 1; ++i) stream_.copy(place_at(peer(i)), source_->data(), bytes);
    });
  }

 private:
  void wait() const {
    if (!stream_.wait(kWaitSeconds)) throw Error(ErrorCode::kTimeout, "kernels that measure the floor did not end");
  }
  double time(const std::function<void()>& launch) const {
    begin_.record(stream_);
    launch();
    end_.record(stream_);
    wait();
    return end_.milliseconds_since(begin_) * 1e3;
  }
  double time_of_sends(const std::function<void()>& send) const {
    return time([&] {
             for (int i = 0; i < kSends; ++i) send();
           }) /
           kSends;
  }

  int peer(int i) const { return (workspace_->rank + 1 + i) % workspace_->world_size; }
  /// Behind the Control, of which calls would read.
  char* memory_of(int rank) const { return workspace_->params.symmetric[rank] + workspace_->layout.one_shot.offset; }
  void* flag_of(int rank) const { return memory_of(rank); }
  /// Where this rank's bytes lie there.
  void* place_at(int rank) const {
    const int source = workspace_->rank < rank ? workspace_->rank : workspace_->rank - 1;
    return memory_of(rank) + kRowBytes + static_cast<std::size_t>(source) * bytes_for_a_peer(workspace_->world_size);
  }

  Gpu& gpu_;
  GpuStream stream_;
  GpuEvent begin_;
  GpuEvent end_;
  BenchKernels kernels_;
  GpuBuffer time_;
  Workspace::Impl* workspace_ = nullptr;  ///< Null: no links.
  std::unique_ptr<GpuBuffer> source_;
};

}  // namespace

Floor measure_floor(const std::vector<int>& gpus, Bootstrap* bootstrap) {
  const int world_size = bootstrap != nullptr ? bootstrap->world_size() : static_cast<int>(gpus.size());
  const bool shares_gpu = gpus.size() > 1 && gpus[0] == gpus[1];
  const bool has_links = world_size > 1 && !shares_gpu;
  const std::unique_ptr<World> world = has_links ? make_world(gpus, bootstrap, world_size) : nullptr;
  const int first_rank = bootstrap != nullptr ? bootstrap->rank() : 0;
  std::vector<std::unique_ptr<FloorRank>> ranks;
  for (std::size_t r = 0; r < gpus.size(); ++r) {
    Workspace* const workspace = has_links ? &world->rank(first_rank + static_cast<int>(r)) : nullptr;
    ranks.push_back(std::make_unique<FloorRank>(gpus[r], workspace));
  }

  Floor floor;
  if (has_links) floor.links.emplace();
  RankMeeting meeting(gpus.size(), bootstrap);
  meeting.run([&](std::size_t r) {
    const FloorRank& rank = *ranks[r];
    const auto best = [&](const std::function<double(int attempt)>& measure) {
      double least = std::numeric_limits<double>::max();
      for (int attempt = 0; attempt < kTries; ++attempt) {
        least = std::min(least, meeting.largest(r, [&] { return measure(attempt); }));
      }
      return least;
    };
    const double empty_kernel = best([&](int) { return rank.empty_kernel(); });
    if (r == 0) floor.empty_kernel_microseconds = empty_kernel;
    if (!has_links) return;
    const double round_trip = best([&](int attempt) { return rank.round_trip(attempt); });
    const double stores = best([&](int) { return rank.stores(); });
    const double copies = best([&](int) { return rank.copies(); });
    if (r != 0) return;
    const auto bytes = static_cast<double>(bytes_for_a_peer(world_size)) * (world_size - 1);
    floor.links = LinkFloor{round_trip / 2, bytes / stores * 1e-3, bytes / copies * 1e-3};
  });
  return floor;
}

}  // namespace allnorm::tools
