// Stores that were issued and have not arrived. Each is one element of at most 8 bytes.
//
// They arrive in any order, but for two rules of the PTX memory model: stores of one cluster to the same word arrive in
// the order in which they were issued, and whatever a release or the end of a grid needs has arrived before.
//
// One thread at a time.
#ifndef ALLNORM_DEVICE_SIM_STORE_BUFFER_H_
#define ALLNORM_DEVICE_SIM_STORE_BUFFER_H_

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "device/sim/memory.h"
#include "device/sim/threads.h"

namespace allnorm::sim {

struct PendingStore {
  Allocation* allocation = nullptr;
  Address address = 0;
  std::uint64_t value = 0;  ///< In its lowest bytes.
  std::uint8_t bytes = 0;   ///< 1, 2, 4 or 8.
  bool adds = false;        ///< To the 8 bytes that are there.
  Thread* thread = nullptr;
  Time issued = 0;
  std::array<std::uint32_t, 2> older{};  ///< The next older store to the same word; the second is for 8 bytes.
  std::uint32_t position = 0;            ///< In order_.
  std::uint32_t next_of_vector = 0;      ///< A ring of those that arrive together; itself if it arrives alone.
};

class StoreBuffer {
 public:
  std::size_t size() const noexcept { return order_.size(); }
  const PendingStore& get(std::uint32_t store) const noexcept { return stores_[store]; }

  /// Takes the fields above `older`; returns its number.
  std::uint32_t issue(const PendingStore& store);
  /// A store that arrives alone will arrive together with another.
  void join(std::uint32_t store, std::uint32_t with) noexcept;
  /// Whether it stands for those that arrive together with it: it was issued first.
  bool is_first_of_vector(std::uint32_t store) const noexcept;
  /// The store at a place of a list without order.
  std::uint32_t at(std::size_t position) const noexcept { return order_[position]; }
  /// The oldest of all; there must be one.
  std::uint32_t oldest();
  /// The oldest of the stores of the same cluster to the same words: what arrives in its place.
  std::uint32_t first_of_same_words(std::uint32_t store) const noexcept;
  /// It has arrived.
  void remove(std::uint32_t store);
  /// The newest store to the word that `visible` says yes to; kNoStore if there is none.
  template <typename Visible>
  std::uint32_t newest(const Page& page, Address word, Visible visible) const {
    std::uint32_t store = page.newest_store[word % kPageBytes / 4];
    while (store != kNoStore && !visible(stores_[store])) store = older(store, word);
    return store;
  }

 private:
  void forget_arrived();
  std::uint32_t& older(std::uint32_t store, Address word) noexcept {
    return stores_[store].older[(word - stores_[store].address / 4 * 4) / 4];
  }
  std::uint32_t older(std::uint32_t store, Address word) const noexcept {
    return stores_[store].older[(word - stores_[store].address / 4 * 4) / 4];
  }

  std::vector<PendingStore> stores_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> order_;
  struct Issued {
    std::uint32_t store;
    Time issued;
  };
  std::deque<Issued> in_order_;  ///< Those that have arrived are forgotten late.
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_STORE_BUFFER_H_
