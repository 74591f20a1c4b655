#include "calls/recorded.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cache/sha256.h"

namespace allnorm::calls {
namespace {

constexpr std::uint64_t kSeed = 20261124;
constexpr std::int64_t kMaxElements = 10240;

std::string digest_of_cases(const std::vector<Case>& cases) {
  std::string lines;
  for (const Case& c : cases) lines += describe(c) + "\n";
  return cache::to_hex(cache::sha256(lines));
}

}  // namespace

std::vector<Case> cases_to_record(int world_size) {
  SampleOptions options;
  options.seed = kSeed + static_cast<std::uint64_t>(world_size);
  options.cases = kRecordedCases;
  options.world_size = world_size;
  options.max_elements = kMaxElements;
  options.with_pdl = false;
  options.cases_per_kernel = 10;
  options.hidden_dims = {8, 24, 256, 2880, 4544};
  options.tokens = {1, 2, 5};
  return sample_cases(options);
}

std::string digest_of_outputs(std::span<const std::uint8_t> outputs) {
  return cache::to_hex(cache::sha256({reinterpret_cast<const char*>(outputs.data()), outputs.size()})).substr(0, 16);
}

std::string to_json(int world_size, const Recorded& recorded) {
  const nlohmann::ordered_json json = {{"device", recorded.device},
                                       {"world_size", world_size},
                                       {"cases", digest_of_cases(recorded.cases)},
                                       {"digests", recorded.digests}};
  return json.dump();
}

Recorded parse_recorded(int world_size, const std::string& json) {
  const auto parsed = nlohmann::json::parse(json);
  Recorded recorded;
  recorded.device = parsed.at("device");
  recorded.cases = cases_to_record(world_size);
  recorded.digests = parsed.at("digests").get<std::vector<std::string>>();
  if (parsed.at("world_size") != world_size || parsed.at("cases") != digest_of_cases(recorded.cases) ||
      recorded.digests.size() != recorded.cases.size()) {
    throw std::runtime_error(fmt::format(
        "world {}: recorded for other cases than there are now; record them again (tests/gpu, [record])", world_size));
  }
  return recorded;
}

}  // namespace allnorm::calls
