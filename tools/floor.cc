#include "floor.h"

#include <algorithm>

#include "dispatch/cost_model.h"

namespace allnorm::tools {

std::optional<double> floor_microseconds(const Floor& floor, Strategy strategy, int world_size, std::int64_t tokens,
                                         std::int64_t row_bytes) {
  if (world_size == 1) return floor.empty_kernel_microseconds;
  if (!floor.links) return std::nullopt;
  const LinkModel link = {floor.empty_kernel_microseconds, floor.links->one_way_microseconds,
                          std::max(floor.links->store_gigabytes_per_second, floor.links->copy_gigabytes_per_second)};
  return estimate_microseconds(strategy, world_size, tokens, row_bytes, Transport::kUnicast, link);
}

}  // namespace allnorm::tools
