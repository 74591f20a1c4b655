#include "device/sim/operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <type_traits>

#include "device/sim/machine.h"
#include "device/sim/report.h"

namespace allnorm::sim {
namespace {

using allnorm_kernel::Access;
using allnorm_kernel::HostOps;
using allnorm_kernel::u32;
using allnorm_kernel::u64;

struct Current {
  Machine* machine = nullptr;
  Thread* thread = nullptr;
};
/// A thread that does more at a stretch lets others go on: it may poll without saying so.
constexpr std::uint64_t kMostAtAStretch = 1024;

/// Set around each stretch in which a fiber runs. A fiber keeps what it read here before it was suspended.
thread_local Current current;

constexpr std::array<const char*, 19> kOperationNames = {"start",
                                                         "load",
                                                         "store",
                                                         "add",
                                                         "compare_and_swap",
                                                         "shared_memory",
                                                         "load_shared",
                                                         "store_shared",
                                                         "store_cluster_shared",
                                                         "shuffle",
                                                         "vote",
                                                         "barrier_cta",
                                                         "barrier_cluster_arrive",
                                                         "barrier_cluster_wait",
                                                         "fence",
                                                         "dependency_wait",
                                                         "dependency_launch",
                                                         "clock",
                                                         "poll"};

}  // namespace

std::span<const char* const> operation_names() noexcept { return kOperationNames; }

CurrentThread::CurrentThread(Machine& machine, Thread& thread) noexcept { current = {&machine, &thread}; }
CurrentThread::~CurrentThread() { current = {}; }

class Operations {
 public:
  Operations(const char* operation, SourceLine at) : machine_(*current.machine), self_(*current.thread) {
    self_.operation = operation;
    self_.at = at;
    if (++machine_.operations_at_a_stretch_ > kMostAtAStretch) self_.fiber.suspend();
    if (!machine_.schedule_.stalls.empty()) stall();
  }

  // --- memory

  void load(void* to, const void* from, u32 elements, u32 element_bytes, Access access) {
    preempt();
    const bool strong = access != Access::kWeak;
    if (strong) let_others_go_first();
    Allocation& allocation = locate(address_of(from), elements * element_bytes, access, "reads");
    auto* out = static_cast<std::uint8_t*>(to);
    for (u32 i = 0; i < elements; i++) {
      const Address address = address_of(from) + i * element_bytes;
      bool written = true;
      const u64 value = machine_.load(self_, allocation, address, element_bytes, true, written);
      if (!written) {
        fault("reads {} bytes that were never written: {}", element_bytes, Report::place(allocation, address));
      }
      std::memcpy(out + i * element_bytes, &value, element_bytes);
      if (strong) machine_.trace(self_.index + 1024 * self_.cta->index, value);
    }
    if (strong) machine_.watch(self_, address_of(from), elements * element_bytes, to);
  }

  void store(void* to, const void* from, u32 elements, u32 element_bytes, Access access) {
    preempt();
    machine_.accesses_at_a_stretch_++;
    const Address address = address_of(to);
    Allocation& allocation = locate(address, elements * element_bytes, access, "writes");
    if (access == Access::kReleaseSystem) machine_.commit_before_release(self_);
    if (allocation.multicast.empty()) {
      issue(allocation, address, from, elements, element_bytes);
      return;
    }
    for (Allocation* member : allocation.multicast) {
      if (member->freed) fault("stores to a multicast address of which a part was freed: {}", member->name);
      issue(*member, member->begin + (address - allocation.begin), from, elements, element_bytes);
    }
  }

  void add(u64* to, u64 value) {
    preempt();
    machine_.accesses_at_a_stretch_++;
    Allocation& allocation = locate(address_of(to), sizeof(u64), Access::kRelaxedGpu, "adds to");
    check_written(allocation, address_of(to), sizeof(u64));
    arrive_at_once(allocation, machine_.issue(self_, allocation, address_of(to), value, sizeof(u64), true));
  }

  u32 compare_and_swap(u32* to, u32 expected, u32 value) {
    preempt();
    let_others_go_first();
    const Address address = address_of(to);
    Allocation& allocation = locate(address, sizeof(u32), Access::kRelaxedSystem, "swaps");
    check_written(allocation, address, sizeof(u32));
    // Of the whole cluster: the new value arrives at once and takes along all that its cluster has stored to the word,
    // which must not come between what was found and the new value.
    const auto of_cluster = [&](const PendingStore& store) { return store.thread->cta->cluster == self_.cta->cluster; };
    const auto own = [&] { return machine_.stores_.newest(Memory::page(allocation, address), address, of_cluster); };
    for (u32 store = own(); store != kNoStore; store = own()) machine_.commit(store);
    bool written = true;
    const auto found = static_cast<u32>(machine_.load(self_, allocation, address, sizeof(u32), false, written));
    machine_.trace(address - allocation.begin, found);
    if (found == expected) {
      machine_.issue(self_, allocation, address, value, sizeof(u32), false);
      machine_.commit(own());
    }
    return found;
  }

  void fence() {
    machine_.accesses_at_a_stretch_++;
    machine_.commit_before_release(self_);
    self_.view = std::max(self_.view, self_.observed);
  }

  // --- shared memory

  void* shared_memory(u32 bytes) {
    Cta& cta = *self_.cta;
    make_shared(cta, bytes);
    if (cta.shared.size() != bytes) fault("threads of the CTA ask for shared memory of different sizes");
    return cta.shared.data();
  }

  void load_shared(void* to, const void* from, u32 bytes) {
    Cta& cta = *self_.cta;
    const std::size_t offset = shared_offset(from, bytes);
    for (SharedWord& word : words_of(cta, offset, bytes)) {
      if (word.writer == nullptr) fault("reads shared memory that was never written, at byte {}", offset);
      if (!machine_.is_ordered(*word.writer, word.written, self_)) race(offset, "reads", "written by", *word.writer);
      word.readers.push_back({&self_, machine_.issues_++});
    }
    std::memcpy(to, from, bytes);
  }

  void store_shared(void* to, const void* from, u32 bytes) {
    store_in(*self_.cta, shared_offset(to, bytes), from, bytes);
  }

  void store_cluster_shared(void* own, u32 rank, const void* from, u32 bytes) {
    preempt();
    const std::size_t offset = shared_offset(own, bytes);
    Cluster& cluster = *self_.cta->cluster;
    if (rank >= cluster.ctas.size()) {
      fault("stores into CTA {} of a cluster of {}", rank, cluster.ctas.size());
    }
    Cta& cta = *cluster.ctas[rank];
    if (!cta.has_run) fault("stores into the shared memory of CTA {}, which has not started", cta.index);
    if (cta.alive == 0) fault("stores into the shared memory of CTA {}, which has ended", cta.index);
    make_shared(cta, static_cast<u32>(self_.cta->shared.size()));
    store_in(cta, offset, from, bytes);
  }

  // --- meeting

  u32 shuffle(u32 value, u32 mask, bool votes) {
    Warp& warp = self_.cta->warps[self_.index / kWarpSize];
    const u32 lane = self_.index % kWarpSize;
    if (warp.alive != ~0U) fault("shuffles in a warp of which lanes have ended");
    self_.shuffle_value = value;
    self_.shuffle_mask = mask;
    warp.shuffling |= 1U << lane;
    if (warp.shuffling != warp.alive) {
      block(ThreadState::kShuffle);
      return self_.shuffle_value;
    }
    warp.shuffling = 0;
    Thread* const lanes = &self_.cta->threads[warp.first];
    std::array<u32, kWarpSize> values{};
    u32 any = 0;
    for (u32 i = 0; i < kWarpSize; i++) {
      if (lanes[i].at.line != self_.at.line || lanes[i].operation != self_.operation) {
        fault("lanes of a warp meet in different operations: this one in {}, lane {} in {}", Report::where(self_), i,
              Report::where(lanes[i]));
      }
      values[i] = lanes[i].shuffle_value;
      any |= values[i];
    }
    for (u32 i = 0; i < kWarpSize; i++) {
      lanes[i].shuffle_value = votes ? any : values[(i ^ lanes[i].shuffle_mask) % kWarpSize];
      if (i != lane) machine_.set_ready(lanes[i]);
    }
    return self_.shuffle_value;
  }

  void barrier(u32 number, u32 threads) {
    Cta& cta = *self_.cta;
    if (number >= kBarriersPerCta) fault("barrier {} of {}", number, kBarriersPerCta);
    Barrier& barrier = cta.barriers[number];
    if (!barrier.waiting.empty() && barrier.expected != threads) {
      fault("comes to barrier {} with {} threads, where others wait with {}", number, threads, barrier.expected);
    }
    barrier.expected = threads;
    if (barrier.waiting.size() + 1 == (threads == 0 ? cta.alive : threads)) {
      machine_.complete_barrier(barrier, &self_);
    } else {
      barrier.waiting.push_back(&self_);
      block(ThreadState::kBarrier);
    }
  }

  void cluster_arrive() {
    Cluster& cluster = *self_.cta->cluster;
    if (self_.arrived_at_cluster) fault("arrives at the cluster barrier again without having waited there");
    self_.arrived_at_cluster = true;
    self_.cluster_phase = cluster.phase;
    self_.cluster_arrival = machine_.issues_++;
    if (++cluster.arrived == cluster.alive) machine_.complete_cluster_barrier(cluster);
  }

  void cluster_wait() {
    Cluster& cluster = *self_.cta->cluster;
    if (!self_.arrived_at_cluster) fault("waits at the cluster barrier without having arrived there");
    if (cluster.phase == self_.cluster_phase) {
      cluster.waiting.push_back(&self_);
      block(ThreadState::kClusterBarrier);
    }
    self_.arrived_at_cluster = false;
    // Of that phase: what others have done since is not a part of it, however late this thread goes on.
    self_.acquired_from_cluster = cluster.met;
    self_.view = std::max(self_.view, cluster.view);
  }

  // --- dependent launch, time

  void dependency_wait() {
    Grid& grid = *self_.cta->grid;
    if (grid.predecessor != nullptr) {
      grid.waiting.push_back(&self_);
      block(ThreadState::kDependency);
    }
    self_.view = machine_.arrivals_;
  }

  void dependency_launch() { machine_.cta_triggered(*self_.cta); }

  u64 clock() { return machine_.clock_; }

  void failed_poll() {
    if (machine_.sees_a_change(self_)) {
      self_.fiber.suspend();
      self_.watched.clear();
    } else {
      machine_.park(self_);
      self_.fiber.suspend();
    }
  }

 private:
  /// The fiber never goes on, and nothing on its stack is destroyed: what owns memory is emptied here.
  template <typename... Args>
  [[noreturn]] void fault(fmt::format_string<const Args&...> text, Args... args) {
    machine_.fault_ = fmt::format("{}: {} ({})", Report::name(self_),
                                  fmt::vformat(text, fmt::make_format_args(args...)), Report::where(self_));
    [[maybe_unused]] const auto empty = [](auto& arg) {
      if constexpr (std::is_same_v<std::decay_t<decltype(arg)>, std::string>) std::string().swap(arg);
    };
    (empty(args), ...);
    self_.fiber.suspend();
    std::terminate();  // nobody goes on with a thread that is at fault
  }

  [[noreturn]] void race(std::size_t offset, const char* does, const char* what, const Thread& other) {
    fault("{} shared memory at byte {}, {} thread {} of CTA {} with no barrier between", does, offset, what,
          other.index, other.cta->index);
  }

  void block(ThreadState state) {
    machine_.set_blocked(self_, state);
    self_.fiber.suspend();
  }

  void preempt() {
    if (machine_.choices_.happens(machine_.choices_.preempt())) self_.fiber.suspend();
  }

  /// Before each look at what others do but the first of a stretch. When stores arrive is a choice of its own, so a
  /// search need not stop a thread before those.
  void let_others_go_first() {
    if (machine_.accesses_at_a_stretch_ > 0 && machine_.choices_.policy() == Policy::kReplay) self_.fiber.suspend();
    machine_.accesses_at_a_stretch_++;
  }

  void stall() {
    const auto& stalls = machine_.schedule_.stalls;
    self_.stall_counts.resize(stalls.size());
    for (std::size_t i = 0; i < stalls.size(); i++) {
      const Stall& stall = stalls[i];
      const auto is = [](int wanted, unsigned number) { return wanted < 0 || static_cast<unsigned>(wanted) == number; };
      if (!is(stall.rank, static_cast<unsigned>(self_.cta->grid->rank())) || !is(stall.cta, self_.cta->index) ||
          !is(stall.thread, self_.index)) {
        continue;
      }
      if (stall.point != self_.operation && stall.point != Report::line(self_.at)) continue;
      if (++self_.stall_counts[i] != stall.occurrence) continue;
      constexpr u64 kNanoseconds = 1'000'000;
      self_.stalled_until_step = stall.steps == 0 ? 0 : machine_.statistics_.steps + stall.steps;
      self_.stalled_until_clock = stall.milliseconds == 0 ? 0 : machine_.clock_ + stall.milliseconds * kNanoseconds;
      machine_.stalled_.push_back(&self_);
      block(ThreadState::kStalled);
    }
  }

  Allocation& locate(Address address, std::size_t bytes, Access access, const char* does) {
    Allocation* const allocation = machine_.memory_.find(address);
    if (allocation == nullptr) {
      fault("{} {} bytes at {:#x}, which is not memory of a simulated GPU", does, bytes, address);
    }
    const char* wrong = nullptr;
    if (allocation->freed) {
      wrong = "of memory that was freed";
    } else if (address + bytes > allocation->end()) {
      wrong = "out of bounds";
    } else if (address % bytes != 0) {
      wrong = "that are not aligned";
    } else if (!allocation->for_all_devices && allocation->device != self_.cta->grid->stream->device) {
      wrong = "of another GPU's own memory";
    } else if (access == Access::kMulticast && allocation->multicast.empty()) {
      wrong = "by multicast, at an address that is none";
    } else if (access != Access::kMulticast && !allocation->multicast.empty()) {
      wrong = "at a multicast address, where only multicast stores are allowed";
    }
    if (wrong != nullptr) {
      fault("{} {} bytes {}: {}", does, bytes, wrong, Report::place(*allocation, address));
    }
    return *allocation;
  }

  /// By what has arrived, or what the thread sees of its own.
  void check_written(Allocation& allocation, Address address, u32 bytes) {
    if (Memory::is_written(allocation, address, bytes)) return;
    bool written = true;
    machine_.load(self_, allocation, address, bytes, false, written);
    if (written) return;
    fault("changes {} bytes that were never written: {}", bytes, Report::place(allocation, address));
  }

  void issue(Allocation& allocation, Address address, const void* from, u32 elements, u32 element_bytes) {
    const auto* in = static_cast<const std::uint8_t*>(from);
    std::uint32_t first = kNoStore;
    for (u32 i = 0; i < elements; i++) {
      u64 value = 0;
      std::memcpy(&value, in + i * element_bytes, element_bytes);
      const std::uint32_t store =
          machine_.issue(self_, allocation, address + i * element_bytes, value, element_bytes, false);
      if (i == 0) first = store;
      if (i > 0 && !machine_.schedule_.split_vectors) machine_.stores_.join(store, first);
    }
    arrive_at_once(allocation, first);
  }

  /// Where all orders are searched, those of what no other GPU can see are left out.
  void arrive_at_once(const Allocation& allocation, std::uint32_t store) {
    const bool searched = machine_.schedule_.policy == Policy::kReplay && !machine_.schedule_.split_vectors;
    if (searched && !allocation.for_all_devices) machine_.commit(store);
  }

  static void make_shared(Cta& cta, u32 bytes) {
    if (!cta.shared.empty()) return;
    cta.shared.resize(bytes);
    cta.shared_words.resize((bytes + 3) / 4);
  }

  std::size_t shared_offset(const void* address, u32 bytes) {
    const Cta& cta = *self_.cta;
    const std::size_t offset = address_of(address) - address_of(cta.shared.data());
    if (offset > cta.shared.size() || bytes > cta.shared.size() - offset || offset % 4 != 0) {
      fault("uses {} bytes of shared memory at byte {} of {}", bytes, static_cast<std::int64_t>(offset),
            cta.shared.size());
    }
    return offset;
  }

  static std::span<SharedWord> words_of(Cta& cta, std::size_t offset, u32 bytes) {
    return std::span(cta.shared_words).subspan(offset / 4, (bytes + 3) / 4);
  }

  void store_in(Cta& cta, std::size_t offset, const void* from, u32 bytes) {
    for (SharedWord& word : words_of(cta, offset, bytes)) {
      if (word.writer != nullptr && !machine_.is_ordered(*word.writer, word.written, self_)) {
        race(offset, "writes", "written by", *word.writer);
      }
      for (const SharedWord::Reader& reader : word.readers) {
        if (!machine_.is_ordered(*reader.thread, reader.time, self_)) race(offset, "writes", "read by", *reader.thread);
      }
      word.readers.clear();
      word.writer = &self_;
      word.written = machine_.issues_++;
    }
    std::memcpy(cta.shared.data() + offset, from, bytes);
  }

  Machine& machine_;
  Thread& self_;
};

namespace {

constexpr HostOps kOperations = {
    .thread_in_cta = [] { return current.thread->index; },
    .cta_in_grid = [] { return current.thread->cta->index; },
    .ctas_in_grid = [] { return current.thread->cta->grid->ctas(); },
    .load = [](void* to, const void* from, u32 elements, u32 element_bytes, Access access,
               SourceLine at) { Operations("load", at).load(to, from, elements, element_bytes, access); },
    .store = [](void* to, const void* from, u32 elements, u32 element_bytes, Access access,
                SourceLine at) { Operations("store", at).store(to, from, elements, element_bytes, access); },
    .add_relaxed_gpu = [](u64* to, u64 value, SourceLine at) { Operations("add", at).add(to, value); },
    .compare_and_swap_system =
        [](u32* to, u32 expected, u32 value, SourceLine at) {
          return Operations("compare_and_swap", at).compare_and_swap(to, expected, value);
        },
    .shared_memory = [](u32 bytes, SourceLine at) { return Operations("shared_memory", at).shared_memory(bytes); },
    .load_shared = [](void* to, const void* from, u32 bytes,
                      SourceLine at) { Operations("load_shared", at).load_shared(to, from, bytes); },
    .store_shared = [](void* to, const void* from, u32 bytes,
                       SourceLine at) { Operations("store_shared", at).store_shared(to, from, bytes); },
    .store_cluster_shared =
        [](void* own, u32 rank, const void* from, u32 bytes, SourceLine at) {
          Operations("store_cluster_shared", at).store_cluster_shared(own, rank, from, bytes);
        },
    .shuffle_xor = [](u32 value, u32 mask,
                      SourceLine at) { return Operations("shuffle", at).shuffle(value, mask, false); },
    .vote_any = [](u32 value, SourceLine at) { return Operations("vote", at).shuffle(value, 0, true); },
    .barrier_cta = [](u32 barrier, u32 threads,
                      SourceLine at) { Operations("barrier_cta", at).barrier(barrier, threads); },
    .barrier_cluster_arrive = [](SourceLine at) { Operations("barrier_cluster_arrive", at).cluster_arrive(); },
    .barrier_cluster_wait = [](SourceLine at) { Operations("barrier_cluster_wait", at).cluster_wait(); },
    .fence_system = [](SourceLine at) { Operations("fence", at).fence(); },
    .grid_dependency_wait = [](SourceLine at) { Operations("dependency_wait", at).dependency_wait(); },
    .grid_dependency_launch = [](SourceLine at) { Operations("dependency_launch", at).dependency_launch(); },
    .clock_nanoseconds = [](SourceLine at) { return Operations("clock", at).clock(); },
    .pause_after_failed_poll = [](SourceLine at) { Operations("poll", at).failed_poll(); },
};

}  // namespace

const HostOps& host_operations() noexcept { return kOperations; }

void start_thread(Thread& thread) {
  const Operations start("start", {"", 0});
  thread.cta->has_run = true;
}

}  // namespace allnorm::sim
