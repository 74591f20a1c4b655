#include "gpu/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "calls/parallel.h"

namespace allnorm::gpu_tests {
namespace {

constexpr std::size_t kBatchBytes = std::size_t{1} << 30;  // of outputs
constexpr std::size_t kBatchCases = 64;
constexpr unsigned kFillCtas = 64;
constexpr unsigned kFillThreads = 256;
/// Others compile meanwhile.
constexpr double kPeerSeconds = 300;

std::size_t output_bytes_of(const Case& c) {
  Layout layout;
  place_outputs(c, layout);
  return layout.size();
}

}  // namespace

Context& shared_context() {
  // Never destroyed: unloading thousands of kernels takes its time, and the driver may be gone.
  static Context& context = *new Context({.device = "cuda"});
  return context;
}

std::vector<int> devices_for(int world_size, bool virtual_ranks) {
  std::vector<int> devices;
  for (int rank = 0; rank < world_size; ++rank) devices.push_back(virtual_ranks ? 0 : rank);
  return devices;
}

Bootstrap* launched_bootstrap() {
  static const std::unique_ptr<Bootstrap> bootstrap = [] {
    if (!is_launched_rank()) return std::unique_ptr<Bootstrap>();
    HostGroup group = launched_group();
    group.timeout_seconds = kPeerSeconds;
    return meet_on_host(group);
  }();
  return bootstrap.get();
}

Session::Session(const WorldOptions& options) {
  const bool has_virtual_ranks = options.devices.size() > 1 && options.devices[0] == options.devices[1];
  if (Bootstrap* bootstrap = launched_bootstrap(); bootstrap != nullptr && !has_virtual_ranks) {
    begin(*bootstrap, options);
    return;
  }
  world_ = std::make_unique<World>(shared_context(), options);
  for (const int device : options.devices) ranks_.push_back(std::make_unique<Rank>(Gpu::at(device)));
}

Session::Session(Bootstrap& bootstrap, const WorldOptions& options) { begin(bootstrap, options); }

void Session::begin(Bootstrap& bootstrap, const WorldOptions& options) {
  bootstrap_ = &bootstrap;
  first_rank_ = bootstrap.rank();
  WorldOptions of_group = options;
  of_group.devices.clear();
  const int device = Gpu::count() == 1 ? 0 : first_rank_;
  world_ = std::make_unique<World>(shared_context(), bootstrap, device, of_group);
  ranks_.push_back(std::make_unique<Rank>(Gpu::at(device)));
}

void Session::meet() {
  if (bootstrap_ != nullptr) bootstrap_->barrier();
}

bool Session::anywhere(bool here) {
  if (bootstrap_ == nullptr) return here;
  const auto all = bootstrap_->all_gather(here ? "1" : "0");
  return std::find(all.begin(), all.end(), "1") != all.end();
}

bool Session::fits(const Case& c) { return c.tokens <= workspace(0).max_tokens(c.strategy, c.hidden_dim, c.dtype); }

void Session::reserve(Rank& rank, std::size_t bytes) {
  if (rank.arena != nullptr && rank.arena->bytes() >= bytes) return;
  rank.arena.reset();
  rank.arena = std::make_unique<GpuBuffer>(rank.stream.gpu(), bytes + bytes / 4);
}

void Session::load(std::span<const Case> cases) {
  cases_.assign(cases.begin(), cases.end());
  placements_.clear();
  Layout layout;
  for (const Case& c : cases_) placements_.push_back(place_outputs(c, layout));
  output_bytes_ = layout.size();
  for (std::size_t i = 0; i < cases_.size(); ++i) place_inputs(cases_[i], layout, placements_[i]);
  for (int r = 0; r < size(); ++r) {
    Rank& rank = *ranks_[static_cast<std::size_t>(r)];
    reserve(rank, layout.size());
    std::vector<FillJob> jobs;
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      add_fill_jobs(cases_[i], placements_[i], rank.arena->data(), first_rank_ + r, false, jobs);
    }
    rank.job_count = jobs.size();
    const std::size_t bytes = jobs.size() * sizeof(FillJob);
    if (rank.jobs == nullptr || rank.jobs->bytes() < bytes) {
      rank.jobs = std::make_unique<GpuBuffer>(rank.stream.gpu(), 2 * bytes);
    }
    rank.jobs->write(jobs.data(), bytes);
  }
  refill();
}

// All of it before any call: a kernel that spins must not meet one that still makes the inputs of its peer.
void Session::refill() {
  for (const auto& rank : ranks_) {
    rank->stream.poison(rank->arena->data(), output_bytes_);
    const Tally* const no_tally = nullptr;
    rank->stream.launch(rank->stream.gpu().kernels().fill, kFillCtas, static_cast<unsigned>(rank->job_count),
                        kFillThreads, rank->jobs->as<const FillJob>(), no_tally);
  }
  wait();
}

AnyCall Session::call(std::size_t index, int rank) const {
  return make_call(cases_[index], placements_[index], memory(rank));
}

void Session::prepare() {
  for (std::size_t i = 0; i < cases_.size(); ++i) {
    for (int rank = 0; rank < size(); ++rank) prepare_call(workspace(rank), call(i, rank));
  }
}

void Session::enqueue(std::size_t index, int rank) {
  calls::enqueue(workspace(rank), call(index, rank), stream(rank).get());
}

void Session::wait() {
  bool all_done = true;
  for (const auto& rank : ranks_) all_done = all_done && rank->stream.wait(wait_seconds_);
  std::string statuses;
  for (int rank = 0; rank < size(); ++rank) {
    const WorkspaceStatus status = workspace(rank).status();
    if (!status.healthy || !all_done) statuses += fmt::format("\n  rank {}: {}", rank, status.message);
  }
  if (all_done && statuses.empty()) return;
  if (!all_done) {
    workspace(0).abort();
    for (const auto& rank : ranks_) {
      if (!rank->stream.wait(5)) statuses += "\n  a stream did not end after abort() either";
    }
  }
  throw Stuck(
      fmt::format("calls did not end well{}{}", all_done ? "" : fmt::format(" within {} s", wait_seconds_), statuses));
}

void Session::launch_all() {
  if (thread_per_rank_) {
    parallel_for(ranks_.size(), static_cast<unsigned>(ranks_.size()), [&](std::size_t rank, unsigned) {
      for (std::size_t i = 0; i < cases_.size(); ++i) enqueue(i, static_cast<int>(rank));
    });
  } else {
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      for (int rank = 0; rank < size(); ++rank) enqueue(i, rank);
    }
  }
}

void Session::fetch() {
  for (const auto& rank : ranks_) {
    if (rank->image_bytes < output_bytes_) {
      rank->image_bytes = output_bytes_;
      rank->image = std::make_unique_for_overwrite<std::uint8_t[]>(output_bytes_);
    }
    rank->arena->read(rank->image.get(), output_bytes_);
  }
}

std::vector<Failure> Session::verify_loaded() {
  fetch();
  std::vector<const std::uint8_t*> images;
  for (const auto& rank : ranks_) images.push_back(rank->image.get());
  return verify(cases_, placements_, images);
}

std::vector<Failure> Session::run(std::span<const Case> cases) {
  std::vector<Failure> failures;
  while (!cases.empty()) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    do bytes += output_bytes_of(cases[count++]);
    while (count < cases.size() && count < kBatchCases && bytes + output_bytes_of(cases[count]) <= kBatchBytes);
    load(cases.first(count));
    prepare();
    meet();
    launch_all();
    wait();
    for (Failure& failure : verify_loaded()) failures.push_back(std::move(failure));
    cases = cases.subspan(count);
  }
  return failures;
}

std::vector<std::vector<std::vector<std::uint8_t>>> Session::outputs_of(std::span<const Case> cases) {
  load(cases);
  prepare();
  launch_all();
  wait();
  fetch();
  std::vector<std::vector<std::vector<std::uint8_t>>> result;
  for (const auto& rank : ranks_) {
    auto& of_rank = result.emplace_back();
    for (const Placement& p : placements_) {
      const std::uint8_t* const begin = rank->image.get() + p.outputs.offset;
      of_rank.emplace_back(begin, begin + p.outputs.bytes);
    }
  }
  return result;
}

Preparer::Preparer(const WorldOptions& options) {
  constexpr std::size_t kBytes = std::size_t{12} << 30;
  const auto on_a_gpu =
      static_cast<std::size_t>(std::count(options.devices.begin(), options.devices.end(), options.devices[0]));
  WorldOptions small = options;
  // From where rows no longer run all at once in clusters, the geometry changes no more.
  const int tokens = Gpu::at(options.devices[0]).device().multiprocessors() / static_cast<int>(on_a_gpu) / 2 + 2;
  small.max_tokens_one_shot = small.max_tokens_two_shot = std::min<std::int64_t>(tokens, options.max_tokens_one_shot);
  const auto each = static_cast<std::size_t>(std::max<std::int64_t>(1, Workspace::required_bytes(small))) * on_a_gpu;
  const auto count = std::clamp<std::size_t>(kBytes / each, 1, std::min(host_threads(), 32U));
  for (std::size_t i = 0; i < count; ++i) worlds_.push_back(std::make_unique<World>(shared_context(), small));
}

void Preparer::prepare(std::span<const Case> cases) {
  parallel_for(cases.size(), static_cast<unsigned>(worlds_.size()), [&](std::size_t i, unsigned thread) {
    const Case& c = cases[i];
    World& world = *worlds_[thread];
    Layout layout;
    Placement placement = place_outputs(c, layout);
    place_inputs(c, layout, placement);
    // Only which tensors are there matters, so any address that is not null will do.
    std::byte* const some_address = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 20);
    const std::int64_t tokens = std::min(c.tokens, world.rank(0).max_tokens(c.strategy, c.hidden_dim, c.dtype));
    const AnyCall call = with_tokens(make_call(c, placement, some_address), tokens);
    for (int rank = 0; rank < world.size(); ++rank) prepare_call(world.rank(rank), call);
  });
}

std::int64_t tokens_that_fit(WorldOptions options, std::int64_t most, std::size_t bytes) {
  options.max_tokens_one_shot = options.max_tokens_two_shot = 64;
  const auto on_a_gpu = std::count(options.devices.begin(), options.devices.end(), options.devices[0]);
  const std::int64_t each = std::max<std::int64_t>(1, Workspace::required_bytes(options) * on_a_gpu / 64);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(bytes) / each, 1, most);
}

}  // namespace allnorm::gpu_tests
