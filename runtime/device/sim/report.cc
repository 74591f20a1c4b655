#include "device/sim/report.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "device/sim/machine.h"

namespace allnorm::sim {
namespace {

constexpr std::size_t kMostLines = 40;

std::string_view base_name(const char* path) {
  const std::string_view name = path;
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

}  // namespace

std::string Report::name(const Thread& thread) {
  const Grid& grid = *thread.cta->grid;
  return fmt::format("rank {}, CTA {}, thread {} ({}, launch {})", grid.rank(), thread.cta->index, thread.index,
                     grid.launch.kernel->name, grid.number);
}

std::string Report::line(SourceLine at) { return fmt::format("{}:{}", base_name(at.file), at.line); }

std::string Report::where(const Thread& thread) {
  if (thread.at.line == 0) return thread.operation;  // start
  return fmt::format("{} at {}", thread.operation, line(thread.at));
}

std::string Report::place(const Allocation& allocation, Address address) {
  return fmt::format("byte {} of {}, which holds {}", address - allocation.begin, allocation.name, allocation.bytes);
}

std::string Report::waits(const Machine& machine) {
  // What a thread does -> how many do, and the first of them.
  struct Group {
    std::size_t count = 0;
    const Thread* first = nullptr;
  };
  std::map<std::string, Group> groups;
  std::string text;
  const auto describe = [&](const Thread& thread) {
    switch (thread.state) {
      case ThreadState::kPolling: {
        // The line loaded last is the one that failed, but for what the slow path looks at.
        std::string places;
        for (const Thread::Watched& each : thread.watched) {
          const Allocation* const allocation = machine.memory_.find(each.address);
          if (allocation == nullptr) continue;
          places += fmt::format("{}{}", places.empty() ? "" : "; ", place(*allocation, each.address));
        }
        return fmt::format("poll at {}: {}", line(thread.at), places);
      }
      case ThreadState::kShuffle: return "wait for other lanes in " + where(thread);
      case ThreadState::kBarrier: return "wait for other threads in " + where(thread);
      case ThreadState::kClusterBarrier: return "wait for other CTAs of the cluster in " + where(thread);
      case ThreadState::kDependency: return "wait for the kernel before to complete in " + where(thread);
      case ThreadState::kStalled: return "are held by a stall in " + where(thread);
      default: return "can run, in " + where(thread);
    }
  };
  for (const auto& stream : machine.streams_) {
    for (const auto& grid : stream->grids) {
      if (!grid->started) {
        text += fmt::format("\n  rank {}: {} (launch {}) waits for the kernel before it", grid->rank(),
                            grid->launch.kernel->name, grid->number);
        continue;
      }
      if (!grid->not_started.empty()) {
        text += fmt::format("\n  rank {}: {} of {} clusters of {} (launch {}) are not resident", grid->rank(),
                            grid->not_started.size(), grid->launch.clusters, grid->launch.kernel->name, grid->number);
      }
      for (const auto& cluster : grid->clusters) {
        for (const auto& cta : cluster->ctas) {
          groups.clear();
          for (const Thread& thread : cta->threads) {
            if (thread.state == ThreadState::kEnded) continue;
            Group& group = groups[describe(thread)];
            if (group.count++ == 0) group.first = &thread;
          }
          for (const auto& [what, group] : groups) {
            text += fmt::format("\n  rank {}, CTA {}: {} threads from thread {} on {}", grid->rank(), cta->index,
                                group.count, group.first->index, what);
          }
        }
      }
    }
  }
  std::size_t lines = 0;
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1)) {
    if (++lines <= kMostLines) continue;
    text.resize(at);
    return text + "\n  ...";
  }
  return text;
}

}  // namespace allnorm::sim
