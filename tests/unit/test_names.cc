// The words for codes and enumerators: tables, flags and messages depend on them.
#include <string>

#include "allnorm/error.h"
#include "allnorm/types.h"
#include "catch.h"

TEST_CASE("every enumerator has its word") {
  using namespace allnorm;
  const auto word = [](auto value) { return std::string(to_string(value)); };
  CHECK(word(DataType::kBF16) == "bf16");
  CHECK(word(Quant::kDynamicFp8) == "dynamic_fp8");
  CHECK(word(ScaleLayout::kSwizzled128x4) == "swizzled_128x4");
  CHECK(word(Strategy::kAuto) == "auto");
  for (int code = 1; code <= 10; ++code) CHECK(word(static_cast<ErrorCode>(code)) != "unknown error");
}

TEST_CASE("a value that is no enumerator is called unknown") {
  CHECK(std::string(allnorm::to_string(static_cast<allnorm::DataType>(200))) == "unknown");
  CHECK(std::string(allnorm::to_string(static_cast<allnorm::ErrorCode>(99))) == "unknown error");
}
