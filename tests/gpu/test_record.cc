// Records digests of outputs, with which the simulator's are compared: tests/sim/test_recorded.cc.
#include <fmt/format.h>

#include "calls/recorded.h"
#include "catch.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

TEST_CASE("outputs of worlds of virtual ranks are recorded, the same on every rank", "[.][virtual][record]") {
  for (int world_size = 1; world_size <= calls::kRecordedWorlds; ++world_size) {
    calls::Recorded recorded;
    recorded.device = Gpu::at(0).device().name();
    recorded.cases = calls::cases_to_record(world_size);
    WorldOptions options;
    options.devices = devices_for(world_size, true);
    options.max_row_bytes = std::int64_t{8192} * 4;
    options.max_tokens_one_shot = options.max_tokens_two_shot = 8;
    options.timeout_seconds = 20;
    Session session(options);
    const auto outputs = session.outputs_of(recorded.cases);
    for (std::size_t i = 0; i < recorded.cases.size(); ++i) {
      recorded.digests.push_back(calls::digest_of_outputs(outputs[0][i]));
      for (const auto& of_rank : outputs) CHECK(calls::digest_of_outputs(of_rank[i]) == recorded.digests.back());
    }
    report_json(calls::to_json(world_size, recorded));
  }
}

}  // namespace
}  // namespace allnorm::gpu_tests
