// The Machine as the host sees it: memory, streams, graphs, synchronising.
#include "device/sim/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "allnorm/error.h"

namespace allnorm::sim {
namespace {

constexpr std::size_t kOverwrittenEntries = 4096;
constexpr int kMaxDevices = 72;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

}  // namespace

Machine::Machine(const MachineOptions& options)
    : options_(options),
      first_host_(std::this_thread::get_id()),
      choices_(schedule_),
      used_(static_cast<std::size_t>(std::max(0, options.devices))),
      overwritten_(kOverwrittenEntries) {
  if (options.devices < 1 || options.devices > kMaxDevices) {
    refuse(fmt::format("sim: {} simulated GPUs were asked for; 1 to {} are allowed", options.devices, kMaxDevices));
  }
  for (int device = 0; device < options.devices; device++) {
    streams_.push_back(std::make_unique<Stream>());
    streams_.back()->device = device;
    streams_.back()->non_blocking = false;
  }
}

Machine::~Machine() { drop_everything(); }

Machine::Lock Machine::enter() {
  waiting_hosts_++;
  Lock lock(mutex_);
  waiting_hosts_--;
  several_hosts_ = several_hosts_ || std::this_thread::get_id() != first_host_;
  return lock;
}

void Machine::set_schedule(const Schedule& schedule) {
  const Lock lock = enter();
  for (const auto& stream : streams_) {
    if (!stream->grids.empty()) refuse("schedule: cannot be changed while calls are queued; synchronise first");
  }
  for (const auto& stream : streams_) stream->failure.clear();
  schedule_ = schedule;
  choices_ = Choices(schedule);
  statistics_ = {};
  for (Overwritten& entry : overwritten_) entry = {};
  clock_ = 0;
  made_progress();
}

std::vector<Choices::Decision> Machine::decisions() {
  const Lock lock = enter();
  return choices_.decisions();
}

Statistics Machine::statistics() {
  const Lock lock = enter();
  return statistics_;
}

void* Machine::allocate(std::size_t bytes, int device, Reach reach, const std::string& name) {
  const Lock lock = enter();
  Allocation& allocation = memory_.allocate(bytes, device, name);
  allocation.for_all_devices = reach == Reach::kAllDevices;
  return reinterpret_cast<void*>(allocation.begin);
}

void* Machine::allocate_multicast(std::span<void* const> of_ranks, std::size_t bytes) {
  const Lock lock = enter();
  std::vector<Allocation*> members;
  for (void* const memory : of_ranks) members.push_back(&checked(memory, bytes, "multicast"));
  Allocation& allocation = memory_.allocate(bytes, members.front()->device, "a multicast address");
  allocation.multicast = std::move(members);
  allocation.for_all_devices = true;
  return reinterpret_cast<void*>(allocation.begin);
}

void Machine::free(void* memory) noexcept {
  const Lock lock = enter();
  Allocation* const allocation = memory_.find(address_of(memory));
  if (allocation == nullptr) return;
  // What is still on its way to it is of a kernel that nobody waited for; it arrives nowhere.
  const Address begin = allocation->begin;
  const Address end = allocation->end();
  for (std::size_t i = stores_.size(); i-- > 0;) {
    const std::uint32_t store = stores_.at(i);
    if (stores_.get(store).address < begin || stores_.get(store).address >= end) continue;
    Grid& grid = *stores_.get(store).thread->cta->grid;
    stores_.remove(store);
    grid.pending_stores--;
    complete_if_done(grid);
  }
  memory_.free(*allocation);
}

Machine::Range Machine::range_of(const void* address) {
  const Lock lock = enter();
  const Allocation* const allocation = memory_.find(address_of(address));
  if (allocation == nullptr || allocation->freed || address_of(address) >= allocation->end()) return {};
  return {allocation->device, allocation->begin, allocation->end()};
}

Allocation& Machine::checked(const void* address, std::size_t bytes, const char* what) {
  Allocation* const allocation = memory_.find(address_of(address));
  if (allocation == nullptr || allocation->freed) {
    refuse(fmt::format("{}: {} is not memory of a simulated GPU{}", what, address,
                       allocation == nullptr ? "" : " any more, it was freed"));
  }
  if (!allocation->multicast.empty()) {
    refuse(fmt::format("{}: {} is a multicast address, which only multicast stores of kernels can use", what, address));
  }
  if (address_of(address) + bytes > allocation->end()) {
    refuse(fmt::format("{}: {} bytes from {} on go past the end of {}, which holds {} bytes", what, bytes, address,
                       allocation->name, allocation->bytes));
  }
  return *allocation;
}

void Machine::write(void* to, const void* from, std::size_t bytes) {
  const Lock lock = enter();
  Memory::write(checked(to, bytes, "copy to a simulated GPU"), address_of(to), from, bytes);
  wake_watchers(address_of(to), bytes);
  changed_.notify_all();
}

void Machine::read(void* to, const void* from, std::size_t bytes) {
  const Lock lock = enter();
  Memory::read(checked(from, bytes, "copy from a simulated GPU"), address_of(from), to, bytes);
}

void Machine::fill(void* to, std::uint32_t word, std::size_t bytes) {
  const Lock lock = enter();
  Memory::fill(checked(to, bytes, "fill of a simulated GPU's memory"), address_of(to), word, bytes);
  wake_watchers(address_of(to), bytes);
  changed_.notify_all();
}

Stream* Machine::create_stream(int device, bool non_blocking) {
  const Lock lock = enter();
  auto stream = std::make_unique<Stream>();
  stream->device = device;
  stream->non_blocking = non_blocking;
  return streams_.emplace_back(std::move(stream)).get();
}

void Machine::destroy_stream(Stream* stream) {
  Lock lock = enter();
  const auto erase = [&] { std::erase_if(streams_, [&](const auto& each) { return each.get() == stream; }); };
  std::vector<Stream*> others;
  for (const auto& each : streams_) {
    if (each.get() != stream && !each->grids.empty()) others.push_back(each.get());
  }
  try {
    run_until(lock, 0, [&] { return stream->grids.empty(); });
  } catch (const Error& error) {
    // Who destroys a stream may not look at errors: whoever synchronises the others is told, on this thread, too.
    for (Stream* each : others) each->failure = error.what();
    erase();
    throw;
  }
  erase();
}

Stream* Machine::find_stream(void* handle, int device) {
  const Lock lock = enter();
  if (handle == nullptr) return streams_[static_cast<std::size_t>(device)].get();
  for (const auto& stream : streams_) {
    if (stream.get() == handle) return stream.get();
  }
  return nullptr;
}

void Machine::launch(Stream* stream, const Launch& launch) {
  const Lock lock = enter();
  if (launch.clusters == 0) refuse(fmt::format("launch: 0 clusters of {}; at least 1 is needed", launch.kernel->name));
  if (stream->capture) {
    stream->capture->launches.push_back(launch);
  } else {
    enqueue(stream, launch);
  }
}

void Machine::begin_capture(Stream* stream) {
  const Lock lock = enter();
  if (stream->capture) refuse("stream: is being captured already");
  stream->capture = std::make_unique<Graph>();
}

Graph Machine::end_capture(Stream* stream) {
  const Lock lock = enter();
  if (!stream->capture) refuse("stream: is not being captured");
  Graph graph = std::move(*stream->capture);
  stream->capture.reset();
  return graph;
}

void Machine::launch(Stream* stream, const Graph& graph) {
  const Lock lock = enter();
  for (const Launch& each : graph.launches) {
    if (stream->capture) {
      stream->capture->launches.push_back(each);
    } else {
      enqueue(stream, each);
    }
  }
}

void Machine::synchronize(int device) {
  finish([&](const Stream& stream) { return stream.device == device; });
}

void Machine::synchronize(Stream* stream) {
  finish([&](const Stream& each) { return &each == stream; });
}

void Machine::synchronize_all() {
  finish([](const Stream&) { return true; });
}

/// Runs until nothing is left of these streams.
void Machine::finish(const std::function<bool(const Stream&)>& is_meant) {
  Lock lock = enter();
  run_until(lock, 0, [&] {
    return std::all_of(streams_.begin(), streams_.end(),
                       [&](const auto& stream) { return !is_meant(*stream) || stream->grids.empty(); });
  });
  tell_failure(is_meant);
}

bool Machine::run(std::uint64_t steps) {
  Lock lock = enter();
  const auto all_empty = [&] {
    return std::all_of(streams_.begin(), streams_.end(), [](const auto& stream) { return stream->grids.empty(); });
  };
  run_until(lock, steps, all_empty);
  tell_failure([](const Stream&) { return true; });
  return !all_empty();
}

unsigned Machine::cta_cost(const Kernel& kernel) noexcept { return std::max(1024U, kernel.threads_per_cta); }

}  // namespace allnorm::sim
