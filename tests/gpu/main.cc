// Without a GPU: says so, and returns what ctest takes for "skipped".
#define CATCH_CONFIG_RUNNER
#include <cstdio>

#include "catch.h"
#include "gpu/gpu.h"

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;
  Catch::Session session;
  if (const int wrong = session.applyCommandLine(argc, argv); wrong != 0) return wrong;
  if (!session.configData().listTests && allnorm::gpu_tests::Gpu::count() == 0) {
    std::printf("skipped: no usable GPU: %s\n", allnorm::gpu_tests::Gpu::why_none().c_str());
    return kSkipped;
  }
  return session.run();
}
