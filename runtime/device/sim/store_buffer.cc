#include "device/sim/store_buffer.h"

namespace allnorm::sim {
namespace {

/// Calls step(word) for the one or two words that a store touches.
template <typename Step>
void for_each_word(const PendingStore& store, Step step) {
  const Address first = store.address / 4 * 4;
  step(first);
  if (store.bytes == 8) step(first + 4);
}

std::uint32_t& newest_of(const PendingStore& store, Address word) {
  return Memory::page(*store.allocation, word).newest_store[word % kPageBytes / 4];
}

const Cluster* cluster_of(const PendingStore& store) { return store.thread->cta->cluster; }

}  // namespace

std::uint32_t StoreBuffer::issue(const PendingStore& store) {
  std::uint32_t number;
  if (free_.empty()) {
    number = static_cast<std::uint32_t>(stores_.size());
    stores_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  PendingStore& kept = stores_[number];
  kept = store;
  kept.position = static_cast<std::uint32_t>(order_.size());
  kept.next_of_vector = number;
  order_.push_back(number);
  if (in_order_.size() > 2 * order_.size() + 1024) forget_arrived();
  in_order_.push_back({number, kept.issued});
  for_each_word(kept, [&](Address word) {
    std::uint32_t& newest = newest_of(kept, word);
    older(number, word) = newest;
    newest = number;
  });
  return number;
}

void StoreBuffer::join(std::uint32_t store, std::uint32_t with) noexcept {
  stores_[store].next_of_vector = stores_[with].next_of_vector;
  stores_[with].next_of_vector = store;
}

bool StoreBuffer::is_first_of_vector(std::uint32_t store) const noexcept {
  for (std::uint32_t next = stores_[store].next_of_vector; next != store; next = stores_[next].next_of_vector) {
    if (stores_[next].issued < stores_[store].issued) return false;
  }
  return true;
}

void StoreBuffer::forget_arrived() {
  const auto is_gone = [&](const Issued& entry) {
    const PendingStore& store = stores_[entry.store];
    return store.issued != entry.issued || store.position >= order_.size() || order_[store.position] != entry.store;
  };
  while (!in_order_.empty() && is_gone(in_order_.front())) in_order_.pop_front();
}

std::uint32_t StoreBuffer::oldest() {
  forget_arrived();
  return in_order_.front().store;
}

std::uint32_t StoreBuffer::first_of_same_words(std::uint32_t store) const noexcept {
  // Going back from word to word ends: what is found is older each time.
  for (bool found = true; found;) {
    found = false;
    const PendingStore& from = stores_[store];
    for_each_word(from, [&](Address word) {
      for (std::uint32_t next = older(store, word); !found && next != kNoStore; next = older(next, word)) {
        if (cluster_of(stores_[next]) != cluster_of(from)) continue;
        store = next;
        found = true;
      }
    });
  }
  return store;
}

void StoreBuffer::remove(std::uint32_t store) {
  const PendingStore& gone = stores_[store];
  for_each_word(gone, [&](Address word) {
    std::uint32_t* link = &newest_of(gone, word);
    while (*link != store) link = &older(*link, word);
    *link = older(store, word);
  });
  order_[gone.position] = order_.back();
  stores_[order_.back()].position = gone.position;
  order_.pop_back();
  free_.push_back(store);
}

}  // namespace allnorm::sim
