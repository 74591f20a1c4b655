// Grids: when they may start, where their clusters run, how they end.
#include <algorithm>

#include "device/sim/machine.h"
#include "device/sim/operations.h"

namespace allnorm::sim {

void Machine::enqueue(Stream* stream, const Launch& launch) {
  auto grid = std::make_unique<Grid>();
  grid->launch = launch;
  grid->stream = stream;
  grid->number = statistics_.launches++;
  if (!stream->grids.empty()) grid->predecessor = stream->grids.back().get();
  for (unsigned cluster = 0; cluster < launch.clusters; cluster++) grid->not_started.push_back(cluster);
  stream->grids.push_back(std::move(grid));
  stream->last_host = std::this_thread::get_id();
  look_for_startable_ = true;
  made_progress();
  changed_.notify_all();
}

/// All work before it has ended; or it was launched as a dependent, and all CTAs of the one before have triggered.
bool Machine::may_start(const Stream& stream, std::size_t which) {
  if (which == 0) return true;
  const Grid& before = *stream.grids[which - 1];
  return stream.grids[which]->launch.kernel->waits_for_predecessor && before.started && before.all_triggered();
}

void Machine::find_startable() {
  look_for_startable_ = false;
  for (const auto& stream : streams_) {
    for (std::size_t which = 0; which < stream->grids.size() && may_start(*stream, which); which++) {
      Grid& grid = *stream->grids[which];
      if (grid.started) continue;
      grid.started = true;
      startable_.push_back(&grid);
    }
  }
}

bool Machine::has_room(const Grid& grid) const noexcept {
  const Kernel& kernel = *grid.launch.kernel;
  const auto device = static_cast<std::size_t>(grid.stream->device);
  return used_[device] + cta_cost(kernel) * kernel.ctas_per_cluster <= capacity();
}

/// A cluster of any grid that has room, in any order.
bool Machine::start_some_cluster() {
  const auto count = static_cast<std::uint32_t>(startable_.size());
  const std::uint32_t first = choices_.policy() == Policy::kReplay ? 0 : choices_.choose(count);
  for (std::uint32_t i = 0; i < count; i++) {
    Grid& grid = *startable_[(first + i) % count];
    if (!has_room(grid)) continue;
    const bool in_turn = choices_.policy() == Policy::kReplay || choices_.policy() == Policy::kRoundRobin;
    const std::uint32_t which = in_turn ? 0 : choices_.choose(static_cast<std::uint32_t>(grid.not_started.size()));
    const unsigned cluster = grid.not_started[which];
    grid.not_started.erase(grid.not_started.begin() + which);
    if (grid.not_started.empty()) std::erase(startable_, &grid);
    start_cluster(grid, cluster);
    return true;
  }
  return false;
}

void Machine::start_cluster(Grid& grid, unsigned index) {
  const Kernel& kernel = *grid.launch.kernel;
  used_[static_cast<std::size_t>(grid.stream->device)] += cta_cost(kernel) * kernel.ctas_per_cluster;
  Cluster& cluster = *grid.clusters.emplace_back(std::make_unique<Cluster>());
  cluster.grid = &grid;
  cluster.index = index;
  cluster.alive = kernel.threads_per_cta * kernel.ctas_per_cluster;
  for (unsigned c = 0; c < kernel.ctas_per_cluster; c++) {
    Cta& cta = *cluster.ctas.emplace_back(std::make_unique<Cta>());
    cta.grid = &grid;
    cta.cluster = &cluster;
    cta.index = index * kernel.ctas_per_cluster + c;
    cta.alive = kernel.threads_per_cta;
    cta.threads.resize(kernel.threads_per_cta);
    cta.warps.resize((kernel.threads_per_cta + kWarpSize - 1) / kWarpSize);
    for (std::size_t w = 0; w < cta.warps.size(); w++) {
      cta.warps[w].cta = &cta;
      cta.warps[w].first = static_cast<unsigned>(w) * kWarpSize;
    }
    for (unsigned t = 0; t < kernel.threads_per_cta; t++) {
      Thread& thread = cta.threads[t];
      thread.cta = &cta;
      thread.index = t;
      // A kernel starts with nothing stale: what had arrived is seen.
      thread.view = arrivals_;
      thread.fiber.start(stacks_.acquire(), &Machine::run_thread, &thread);
      cta.warps[t / kWarpSize].alive |= 1U << t % kWarpSize;
      set_ready(thread);
    }
  }
  made_progress();
}

void Machine::run_thread(void* argument) {
  auto& thread = *static_cast<Thread*>(argument);
  const Launch& launch = thread.cta->grid->launch;
  start_thread(thread);
  launch.kernel->entry(&launch.params);
  thread.state = ThreadState::kEnded;
}

void Machine::cta_triggered(Cta& cta) {
  if (cta.triggered) return;
  cta.triggered = true;
  cta.grid->triggered_ctas++;
  look_for_startable_ = true;
}

void Machine::thread_ended(Thread& thread) {
  Cta& cta = *thread.cta;
  Cluster& cluster = *cta.cluster;
  Grid& grid = *cta.grid;
  stacks_.release(thread.fiber.stop());
  set_blocked(thread, ThreadState::kEnded);
  cta.warps[thread.index / kWarpSize].alive &= ~(1U << thread.index % kWarpSize);
  cta.alive--;
  cluster.alive--;
  complete_meetings_without(thread);
  made_progress();
  if (cta.alive == 0) cta_triggered(cta);
  if (cluster.alive > 0) return;
  grid.ended_clusters++;
  const Kernel& kernel = *grid.launch.kernel;
  used_[static_cast<std::size_t>(grid.stream->device)] -= cta_cost(kernel) * kernel.ctas_per_cluster;
  complete_if_done(grid);
}

/// Its threads have ended and its stores have arrived: what waited for it goes on. The grid is gone afterwards.
void Machine::complete_if_done(Grid& grid) {
  if (!grid.is_complete()) return;
  Stream& stream = *grid.stream;
  for (const auto& each : stream.grids) {
    if (each->predecessor != &grid) continue;
    each->predecessor = nullptr;
    for (Thread* thread : each->waiting) set_ready(*thread);
    each->waiting.clear();
  }
  std::erase_if(stream.grids, [&](const auto& each) { return each.get() == &grid; });
  look_for_startable_ = true;
  a_grid_completed_ = true;
  made_progress();
}

}  // namespace allnorm::sim
