// A user's program: includes public headers only, calls into the library, catches its exception type.
#include <allnorm/error.h>
#include <allnorm/types.h>
#include <allnorm/version.h>

#include <cstdio>
#include <cstring>

int main() {
  if (std::strcmp(allnorm::to_string(allnorm::Quant::kNvfp4), "nvfp4") != 0) return 1;
  try {
    throw allnorm::Error(allnorm::ErrorCode::kCapacity, "thrown by the user");
  } catch (const allnorm::Error& error) {
    std::printf("allnorm %s: %s\n", ALLNORM_VERSION_STRING, allnorm::to_string(error.code()));
  }
}
