// What ranks decide together, over a gather that is given.
#include <algorithm>
#include <string>
#include <vector>

#include "catch.h"
#include "comm/vote.h"

using namespace allnorm;

TEST_CASE("what rank 0 says reaches all ranks, also where it is longer than a gather takes", "[vote]") {
  constexpr std::size_t kMost = Bootstrap::kMaxBytes;
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, kMost - 1, kMost, kMost + 1, 2 * kMost, 3 * kMost - 1}) {
    std::string text(length, 'a');
    for (std::size_t i = 0; i < length; i += 1000) text[i] = static_cast<char>('a' + i / 1000 % 26);
    std::vector<std::string> pieces;
    CallbackBootstrap first(0, 2, [&](std::string_view mine) {
      pieces.emplace_back(mine);
      return std::vector<std::string>{std::string(mine), ""};
    });
    CHECK(from_rank_0(first, text) == text);
    for (const std::string& piece : pieces) CHECK(piece.size() <= kMost);

    auto next = pieces.begin();
    CallbackBootstrap second(1, 2, [&](std::string_view mine) {
      CHECK(mine.empty());
      return std::vector<std::string>{*next++, ""};
    });
    CHECK(from_rank_0(second, "not asked for") == text);
    CHECK(next == pieces.end());
  }
}
