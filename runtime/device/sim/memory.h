// Memory of the simulated GPUs: what has arrived there, which bytes were ever written, and what lies where.
//
// Addresses are reserved and never mapped, so that a kernel or a host that does not go through the simulator faults at
// once, as it would on a GPU. An address is used once: memory that was freed stays known as such. Pages that hold one
// repeated word take no room.
//
// One thread at a time.
#ifndef ALLNORM_DEVICE_SIM_MEMORY_H_
#define ALLNORM_DEVICE_SIM_MEMORY_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace allnorm::sim {

using Address = std::uint64_t;
inline Address address_of(const void* pointer) noexcept { return reinterpret_cast<Address>(pointer); }

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::uint32_t kNoStore = 0xFFFFFFFF;

struct Page {
  std::array<std::uint8_t, kPageBytes> bytes;
  std::bitset<kPageBytes> written;
  /// For each word, the newest store that is still on its way to it.
  std::array<std::uint32_t, kPageBytes / 4> newest_store;
  /// For each word, when the last store arrived there; 0: none did.
  std::array<std::uint64_t, kPageBytes / 4> arrived;
};

struct Allocation {
  Address begin = 0;
  std::size_t bytes = 0;
  int device = 0;
  bool freed = false;
  bool for_all_devices = false;
  std::string name;  ///< "memory of GPU 1".
  /// A multicast address: the same place of each of these. Has no memory of its own.
  std::vector<Allocation*> multicast;

  struct PageSlot {
    std::unique_ptr<Page> page;
    std::uint32_t fill = 0;  ///< Every word, where there is no page and `filled`.
    bool filled = false;
  };
  std::vector<PageSlot> pages;

  Address end() const noexcept { return begin + bytes; }
};

class Memory {
 public:
  Memory();
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Throws kDriver if no addresses are left.
  Allocation& allocate(std::size_t bytes, int device, std::string name);
  /// Gives its pages back; nothing may be on its way to it.
  void free(Allocation& allocation) noexcept;
  /// Whose it is; null for an address outside of all that was ever allocated.
  Allocation* find(Address address) const noexcept {
    if (address - base_ >= reserved_bytes_) return nullptr;
    const std::uint32_t number = owners_[(address - base_) / kGranule];
    return number == 0 ? nullptr : allocations_[number - 1].get();
  }

  /// Of an address within what is reserved: the same in every run.
  std::size_t offset_of(Address address) const noexcept { return address - base_; }

  /// The page that holds an address of the allocation, made if need be.
  static Page& page(Allocation& allocation, Address address);

  // All of [address, address + bytes) must lie in the allocation.
  static void read(const Allocation& allocation, Address address, void* to, std::size_t bytes);
  static void write(Allocation& allocation, Address address, const void* from, std::size_t bytes);
  static void fill(Allocation& allocation, Address address, std::uint32_t word, std::size_t bytes);
  /// Whether every byte was ever written.
  static bool is_written(const Allocation& allocation, Address address, std::size_t bytes);

 private:
  static constexpr std::size_t kGranule = std::size_t{1} << 16;

  /// False, with errno, if there is no room for reserved_bytes_.
  bool reserve();
  std::size_t owners_bytes() const noexcept { return reserved_bytes_ / kGranule * sizeof(*owners_); }

  std::byte* reserved_ = nullptr;
  std::size_t reserved_bytes_ = 0;
  Address base_ = 0;
  std::size_t used_ = 0;
  std::uint32_t* owners_ = nullptr;  ///< A number a granule; 0: nobody. Mapped, and mostly never touched.
  std::vector<std::unique_ptr<Allocation>> allocations_;
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_MEMORY_H_
