// Who can ask for multicast, and who can forbid it.
#include <string>

#include "allnorm/workspace.h"
#include "catch.h"
#include "environment.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

/// Nothing of the environment has a say, but for what a test sets.
struct NobodySays {
  Variable ours{"ALLNORM_MULTICAST", nullptr};
  Variable nccl{"NCCL_NVLS_ENABLE", nullptr};
  Variable nvshmem{"NVSHMEM_DISABLE_NVLS", nullptr};
  Variable torch{"TORCH_SYMM_MEM_DISABLE_MULTICAST", nullptr};
  LogCapture log;
};

bool is_used(bool asked, std::vector<int> devices = {0, 1}) {
  Context context({.device = "sim:2"});
  World world(context,
              {.devices = std::move(devices), .max_row_bytes = 1024, .max_tokens_one_shot = 1, .multicast = asked});
  for (int rank = 1; rank < world.size(); rank++) {
    CHECK(world.rank(rank).uses_multicast() == world.rank(0).uses_multicast());
  }
  return world.rank(0).uses_multicast();
}

const std::string kNotUsed = "multicast was asked for and is not used, the ranks store to each peer: ";

}  // namespace

TEST_CASE("multicast is off unless asked for, by the option or the environment", "[multicast]") {
  const NobodySays nobody;
  CHECK_FALSE(is_used(false));
  CHECK_FALSE(nobody.log.has(LogLevel::kInfo, "multicast"));
  CHECK(is_used(true));
  CHECK(nobody.log.has(LogLevel::kInfo, "the ranks store by multicast"));
  const Variable ours("ALLNORM_MULTICAST", "1");
  CHECK(is_used(false));
  CHECK(is_used(true));
  CHECK(is_used(true, {0, 0}));
}

TEST_CASE("each of three variables forbids multicast, whoever asks", "[multicast]") {
  const std::pair<const char*, const char*> forbidding[] = {
      {"NCCL_NVLS_ENABLE", "0"}, {"NVSHMEM_DISABLE_NVLS", "1"}, {"TORCH_SYMM_MEM_DISABLE_MULTICAST", "1"}};
  for (const auto& [name, value] : forbidding) {
    INFO(name);
    const NobodySays nobody;
    const Variable site(name, value);
    CHECK_FALSE(is_used(false));
    CHECK_FALSE(nobody.log.has(LogLevel::kInfo, "multicast"));
    CHECK_FALSE(is_used(true));
    CHECK(nobody.log.has(LogLevel::kInfo, kNotUsed + name + "=" + value + " forbids it"));
    const Variable ours("ALLNORM_MULTICAST", "1");
    CHECK_FALSE(is_used(false));
  }
}

TEST_CASE("a rank alone does without multicast", "[multicast]") {
  const NobodySays nobody;
  CHECK_FALSE(is_used(true, {1}));
  CHECK(nobody.log.has(LogLevel::kInfo, kNotUsed + "a rank alone stores to nobody"));
}
