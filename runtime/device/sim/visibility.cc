// What a thread sees of memory: its own stores and those that are ordered before it at once, others' when they have
// arrived, and now and then what was there before.
#include <algorithm>
#include <cstring>

#include "device/sim/machine.h"

namespace allnorm::sim {
namespace {

constexpr std::size_t kWatchedLines = 16;
constexpr Address kLine = 16;
constexpr Chance kAlways = 65536;

}  // namespace

/// Whether what `first` did at `when` is ordered before what `then` does now: by the program, or by barriers.
bool Machine::is_ordered(const Thread& first, Time when, const Thread& then) const noexcept {
  if (&first == &then) return true;
  if (first.cta->cluster != then.cta->cluster) return false;
  if (first.cta == then.cta) {
    if (when < std::min(first.released_to_cta, then.acquired_from_cta)) return true;
    if (!then.acquired_from_thread.empty() && when < then.acquired_from_thread[first.index]) return true;
  }
  return when < std::min(first.released_to_cluster, then.acquired_from_cluster);
}

std::uint32_t Machine::issue(Thread& thread, Allocation& allocation, Address address, std::uint64_t value,
                             unsigned bytes, bool adds) {
  PendingStore store;
  store.allocation = &allocation;
  store.address = address;
  store.value = value;
  store.bytes = static_cast<std::uint8_t>(bytes);
  store.adds = adds;
  store.thread = &thread;
  store.issued = issues_++;
  thread.cta->grid->pending_stores++;
  return stores_.issue(store);
}

/// The store arrives, with the rest of its vector where that is not split.
void Machine::commit(std::uint32_t number) {
  for (std::uint32_t next = number;;) {
    const std::uint32_t element = next;
    next = stores_.get(element).next_of_vector;
    commit_element(element);
    if (next == number) return;
  }
}

/// Before it those of its cluster that must.
void Machine::commit_element(std::uint32_t number) {
  for (std::uint32_t first = number; (first = stores_.first_of_same_words(number)) != number;) commit(first);
  const PendingStore store = stores_.get(number);
  stores_.remove(number);
  Page& page = Memory::page(*store.allocation, store.address);
  const std::size_t at = store.address % kPageBytes;
  std::uint64_t value = store.value;
  if (store.adds) {
    std::uint64_t before = 0;
    std::memcpy(&before, &page.bytes[at], store.bytes);
    value += before;
  }
  arrivals_++;
  if (choices_.stale() != 0) remember_overwritten(store, page);
  std::memcpy(&page.bytes[at], &value, store.bytes);
  for (unsigned i = 0; i < store.bytes; i++) page.written.set(at + i);
  statistics_.stores++;
  trace(store.address - store.allocation->begin + static_cast<unsigned>(store.allocation->device), value);
  made_progress();
  if (!watchers_.empty()) wake_watchers(store.address, store.bytes);
  Grid& grid = *store.thread->cta->grid;
  if (--grid.pending_stores == 0) complete_if_done(grid);
}

/// Of whole words alone: where a part of one arrives, or two, the memory of what was there before ends.
void Machine::remember_overwritten(const PendingStore& store, const Page& page) {
  for (Address word = store.address / 4 * 4; word < store.address + store.bytes; word += 4) {
    Overwritten& entry = overwritten_[word / 4 % overwritten_.size()];
    if (store.bytes == 4) {
      entry = {word, arrivals_, 0, store.thread->cta->cluster};
      std::memcpy(&entry.value, &page.bytes[word % kPageBytes], 4);
    } else if (entry.word == word) {
      entry = {};
    }
  }
}

/// Before a release: what the thread stored, and what is ordered before it, has arrived.
void Machine::commit_before_release(Thread& thread) {
  for (std::size_t i = stores_.size(); i-- > 0;) {
    if (i >= stores_.size()) continue;  // an older one went along with another
    const PendingStore& store = stores_.get(stores_.at(i));
    if (is_ordered(*store.thread, store.issued, thread)) commit(stores_.at(i));
  }
}

bool Machine::find_stale(Thread& thread, Address word, std::uint32_t& value) {
  const Overwritten& entry = overwritten_[word / 4 % overwritten_.size()];
  if (entry.word != word || entry.until <= thread.view) return false;
  const Time now = arrivals_;
  const auto known =
      std::find_if(thread.seen.begin(), thread.seen.end(), [&](const Seen& s) { return s.word == word; });
  const bool seen = known != thread.seen.end() && known->time >= entry.until;
  // What the own cluster has overwritten is not looked at more closely: never stale.
  if (!seen && entry.by != thread.cta->cluster && choices_.happens(choices_.stale())) {
    value = entry.value;
    statistics_.stale++;
    return true;
  }
  // It sees the new value: from now on never the old one.
  if (known != thread.seen.end()) {
    known->time = now;
  } else {
    Seen& forgotten = thread.seen[thread.next_seen++ % thread.seen.size()];
    thread.view = std::max(thread.view, forgotten.time);
    forgotten = {word, now};
  }
  return false;
}

std::uint64_t Machine::load(Thread& thread, Allocation& allocation, Address address, unsigned bytes, bool may_be_stale,
                            bool& written) {
  std::uint64_t value = 0;
  const Address word = address / 4 * 4;
  const Allocation::PageSlot& slot = allocation.pages[(address - allocation.begin) / kPageBytes];
  if (slot.page) {
    const auto visible = [&](const PendingStore& store) { return is_ordered(*store.thread, store.issued, thread); };
    const auto own = [&] {
      const std::uint32_t first = stores_.newest(*slot.page, word, visible);
      return first != kNoStore || bytes != 8 ? first : stores_.newest(*slot.page, word + 4, visible);
    };
    for (std::uint32_t store = own(); store != kNoStore; store = own()) {
      const PendingStore& found = stores_.get(store);
      if (found.address == address && found.bytes == bytes && !found.adds) return found.value;
      commit(store);
    }
  }
  std::uint32_t old = 0;
  if (may_be_stale && bytes == 4 && choices_.stale() != 0 && find_stale(thread, word, old)) return old;
  Memory::read(allocation, address, &value, bytes);
  written = Memory::is_written(allocation, address, bytes);
  return value;
}

/// For the next failed poll: what was loaded, and what was found.
void Machine::watch(Thread& thread, Address address, unsigned bytes, const void* found) {
  auto at = std::find_if(thread.watched.begin(), thread.watched.end(),
                         [&](const Thread::Watched& each) { return each.address == address && each.bytes == bytes; });
  if (at == thread.watched.end()) {
    if (thread.watched.size() == kWatchedLines) thread.watched.erase(thread.watched.begin());
    thread.watched.push_back({address, bytes, {}});
    at = thread.watched.end() - 1;
  }
  std::memcpy(at->found.data(), found, bytes);
}

/// Whether one of the lines that it watches has changed since it looked, or looked stale.
bool Machine::sees_a_change(Thread& thread) {
  return std::any_of(thread.watched.begin(), thread.watched.end(), [&](const Thread::Watched& each) {
    std::array<std::uint8_t, 16> now{};
    const Allocation* const allocation = memory_.find(each.address);
    if (allocation == nullptr || allocation->freed) return true;
    Memory::read(*allocation, each.address, now.data(), each.bytes);
    return std::memcmp(now.data(), each.found.data(), each.bytes) != 0;
  });
}

void Machine::park(Thread& thread) {
  for (const Thread::Watched& each : thread.watched) watchers_[each.address / kLine].push_back(&thread);
  thread.polling_position = polling_.size();
  polling_.push_back(&thread);
  set_blocked(thread, ThreadState::kPolling);
}

/// Of a thread that is parked.
void Machine::stop_watching(Thread& thread) {
  for (const Thread::Watched& each : thread.watched) {
    const auto at = watchers_.find(each.address / kLine);
    if (at == watchers_.end()) continue;
    std::erase(at->second, &thread);
    if (at->second.empty()) watchers_.erase(at);
  }
  thread.watched.clear();
  thread.has_missed_a_change = false;
  polling_[thread.polling_position] = polling_.back();
  polling_[thread.polling_position]->polling_position = thread.polling_position;
  polling_.pop_back();
}

void Machine::wake_watchers(Address address, std::size_t bytes) {
  const Address last = (address + bytes - 1) / kLine;
  // A fill of gigabytes looks at those that wait rather than at each line.
  if (bytes > 4096) {
    for (const auto& threads = polling_; !threads.empty();) {
      Thread& thread = *threads.back();
      stop_watching(thread);
      set_ready(thread);
    }
    return;
  }
  for (Address line = address / kLine; line <= last; line++) {
    const auto at = watchers_.find(line);
    if (at == watchers_.end()) continue;
    const std::vector<Thread*> threads = at->second;
    for (Thread* thread : threads) {
      // One that watches two places of the line is there twice.
      if (thread->state != ThreadState::kPolling) continue;
      if (choices_.notice() < kAlways && !choices_.happens(choices_.notice())) {
        thread->has_missed_a_change = true;
      } else {
        stop_watching(*thread);
        set_ready(*thread);
      }
    }
  }
}

void Machine::trace(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t& digest = statistics_.interleaving;
  digest = (digest ^ a) * 0xBF58476D1CE4E5B9u;
  digest = (digest ^ (digest >> 32) ^ b) * 0x94D049BB133111EBu;
  digest ^= digest >> 29;
}

}  // namespace allnorm::sim
