#include "floor.h"

#include <algorithm>

namespace allnorm::tools {

std::optional<double> floor_microseconds(const Floor& floor, Strategy strategy, int world_size, std::int64_t tokens,
                                         std::int64_t row_bytes) {
  if (world_size == 1) return floor.empty_kernel_microseconds;
  if (!floor.links) return std::nullopt;
  const double peers = world_size - 1;
  const auto rows = static_cast<double>(tokens);
  double hops = 1;
  double rows_on_wire = peers * rows;
  if (strategy == Strategy::kTwoShot) {
    const std::int64_t owned = (tokens + world_size - 1) / world_size;
    hops = 2;
    rows_on_wire = rows + (peers - 1) * static_cast<double>(owned);
  }
  const double rate = std::max(floor.links->store_gigabytes_per_second, floor.links->copy_gigabytes_per_second);
  return floor.empty_kernel_microseconds + hops * floor.links->one_way_microseconds +
         rows_on_wire * static_cast<double>(row_bytes) / (rate * 1e3);  // GB/s are 1e3 bytes per microsecond.
}

}  // namespace allnorm::tools
