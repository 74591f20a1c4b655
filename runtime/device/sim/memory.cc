#include "device/sim/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "allnorm/error.h"

namespace allnorm::sim {
namespace {

/// The first is more than any run uses; a limit on virtual memory or a sanitizer may leave less.
constexpr std::size_t kMostReserved = std::size_t{1} << 40;
constexpr std::size_t kLeastReserved = std::size_t{1} << 32;

/// Of a limit on virtual memory, an eighth: the program, and other machines in it, need some as well.
std::size_t most_to_reserve() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur / 8 >= kMostReserved) return kMostReserved;
  return std::max(kLeastReserved, std::bit_floor(static_cast<std::size_t>(limit.rlim_cur / 8)));
}

/// Calls step(slot, first byte in the page, bytes, offset from `address`) for each page of a range.
template <typename Slots, typename Step>
void for_each_page(Slots& slots, std::size_t offset, std::size_t bytes, Step step) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t at = (offset + done) % kPageBytes;
    const std::size_t part = std::min(kPageBytes - at, bytes - done);
    step(slots[(offset + done) / kPageBytes], at, part, done);
    done += part;
  }
}

std::uint8_t byte_of(std::uint32_t word, std::size_t address) {
  return static_cast<std::uint8_t>(word >> (address % 4 * 8));
}

Page& page_of(Allocation::PageSlot& slot) {
  if (slot.page) return *slot.page;
  slot.page = std::make_unique<Page>();
  slot.page->newest_store.fill(kNoStore);
  slot.page->arrived.fill(0);
  if (slot.filled) {
    for (std::size_t i = 0; i < kPageBytes; i += 4) std::memcpy(&slot.page->bytes[i], &slot.fill, 4);
    slot.page->written.set();
  }
  return *slot.page;
}

}  // namespace

Memory::Memory() {
  for (reserved_bytes_ = most_to_reserve(); !reserve(); reserved_bytes_ /= 2) {
    if (reserved_bytes_ > kLeastReserved) continue;
    throw Error(ErrorCode::kDriver,
                fmt::format("the simulator cannot reserve {} GiB of addresses: {} (is there a limit on virtual memory, "
                            "`ulimit -v`?)",
                            reserved_bytes_ >> 30, std::strerror(errno)));
  }
  // Addresses have the same low bits in every run.
  base_ = (address_of(reserved_) + kGranule - 1) / kGranule * kGranule;
  used_ = kGranule;
}

Memory::~Memory() {
  munmap(reserved_, reserved_bytes_);
  munmap(owners_, owners_bytes());
}

bool Memory::reserve() {
  // PROT_NONE, and no swap reserved: addresses alone.
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* addresses = mmap(nullptr, reserved_bytes_, PROT_NONE, kFlags, -1, 0);
  if (addresses == MAP_FAILED) return false;
  void* owners = mmap(nullptr, owners_bytes(), PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (owners == MAP_FAILED) {
    const int error = errno;
    munmap(addresses, reserved_bytes_);
    errno = error;
    return false;
  }
  reserved_ = static_cast<std::byte*>(addresses);
  owners_ = static_cast<std::uint32_t*>(owners);
  return true;
}

Allocation& Memory::allocate(std::size_t bytes, int device, std::string name) {
  // A granule that belongs to nobody lies between any two.
  const std::size_t granules = (std::max<std::size_t>(bytes, 1) + kGranule - 1) / kGranule;
  if (granules + 2 > (reserved_bytes_ - used_) / kGranule) {
    throw Error(ErrorCode::kDriver,
                fmt::format("the simulator has no addresses left for {} bytes of {}: each is used once, and all {} GiB "
                            "are used; make a new Context",
                            bytes, name, reserved_bytes_ >> 30));
  }
  auto allocation = std::make_unique<Allocation>();
  allocation->begin = base_ + used_;
  allocation->bytes = bytes;
  allocation->device = device;
  allocation->name = std::move(name);
  allocation->pages.resize((bytes + kPageBytes - 1) / kPageBytes);
  allocations_.push_back(std::move(allocation));
  const auto number = static_cast<std::uint32_t>(allocations_.size());
  std::fill_n(owners_ + used_ / kGranule, granules, number);
  used_ += (granules + 1) * kGranule;
  return *allocations_.back();
}

void Memory::free(Allocation& allocation) noexcept {
  allocation.freed = true;
  allocation.pages = std::vector<Allocation::PageSlot>();
  allocation.multicast.clear();
}

Page& Memory::page(Allocation& allocation, Address address) {
  return page_of(allocation.pages[(address - allocation.begin) / kPageBytes]);
}

void Memory::read(const Allocation& allocation, Address address, void* to, std::size_t bytes) {
  auto* bytes_out = static_cast<std::uint8_t*>(to);
  for_each_page(allocation.pages, address - allocation.begin, bytes,
                [&](const Allocation::PageSlot& slot, std::size_t at, std::size_t part, std::size_t done) {
                  if (slot.page) {
                    std::memcpy(bytes_out + done, &slot.page->bytes[at], part);
                  } else {
                    for (std::size_t i = 0; i < part; i++) bytes_out[done + i] = byte_of(slot.fill, at + i);
                  }
                });
}

void Memory::write(Allocation& allocation, Address address, const void* from, std::size_t bytes) {
  const auto* bytes_in = static_cast<const std::uint8_t*>(from);
  for_each_page(allocation.pages, address - allocation.begin, bytes,
                [&](Allocation::PageSlot& slot, std::size_t at, std::size_t part, std::size_t done) {
                  Page& page = page_of(slot);
                  std::memcpy(&page.bytes[at], bytes_in + done, part);
                  for (std::size_t i = 0; i < part; i++) page.written.set(at + i);
                });
}

void Memory::fill(Allocation& allocation, Address address, std::uint32_t word, std::size_t bytes) {
  for_each_page(allocation.pages, address - allocation.begin, bytes,
                [&](Allocation::PageSlot& slot, std::size_t at, std::size_t part, std::size_t) {
                  // A page that is there may have stores on their way to it.
                  if (part == kPageBytes && !slot.page) {
                    slot.fill = word;
                    slot.filled = true;
                    return;
                  }
                  Page& page = page_of(slot);
                  for (std::size_t i = 0; i < part; i++) {
                    page.bytes[at + i] = byte_of(word, at + i);
                    page.written.set(at + i);
                  }
                });
}

bool Memory::is_written(const Allocation& allocation, Address address, std::size_t bytes) {
  bool written = true;
  for_each_page(allocation.pages, address - allocation.begin, bytes,
                [&](const Allocation::PageSlot& slot, std::size_t at, std::size_t part, std::size_t) {
                  if (!slot.page) {
                    written = written && slot.filled;
                    return;
                  }
                  for (std::size_t i = 0; i < part; i++) written = written && slot.page->written.test(at + i);
                });
  return written;
}

}  // namespace allnorm::sim
