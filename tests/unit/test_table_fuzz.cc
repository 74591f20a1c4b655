// Random edits of a valid table: the parser gives a table or an Error, and never anything else.
// Run under sanitizers it also shows that it reads nothing out of bounds.
#include <random>
#include <string>

#include "allnorm/error.h"
#include "catch.h"
#include "dispatch/geometry.h"
#include "dispatch/table.h"
#include "table_text.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t limit) {
  return static_cast<std::size_t>(random() % limit);
}

/// One of: another byte, a byte less, a digit changed, a piece repeated or moved, the end cut off.
void mutate(std::string& text, Random& random) {
  const std::string interesting = "{}[]\",:0123456789-+.eE \n\\untf\x00\xff";
  if (text.empty()) return;
  const std::size_t at = below(random, text.size());
  const std::string piece = text.substr(at, below(random, 40));
  switch (random() % 7) {
    case 0:
      text[at] = static_cast<char>(random());
      break;
    case 1:
      text[at] = interesting[below(random, interesting.size())];
      break;
    case 2:
      text.insert(at, 1, interesting[below(random, interesting.size())]);
      break;
    case 3:
      text.erase(at, 1 + below(random, 10));
      break;
    case 4:
      text.insert(below(random, text.size()), piece);
      break;
    case 5:
      if (const auto digit = text.find_first_of("0123456789", at); digit != text.npos) {
        text[digit] = static_cast<char>('0' + below(random, 10));
      }
      break;
    default:
      if (random() % 8 == 0) text.resize(at);
  }
}

}  // namespace

TEST_CASE("a damaged table is a table or an Error", "[table][fuzz]") {
  const TableKey key = {.operation = Operation::kFused,
                        .transport = Transport::kUnicast,
                        .quant = Quant::kFp8,
                        .dtype = DataType::kBF16,
                        .world_size = 2,
                        .hidden_dim = 7168};
  Random random(20261123);
  int accepted = 0;
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = kTableText;
    const std::size_t edits = 1 + below(random, 4);
    for (std::size_t edit = 0; edit < edits; ++edit) mutate(text, random);
    INFO("round " << round << ":\n" << text);
    try {
      const Table table = Table::parse(text, "fuzz.json");
      ++accepted;
      std::int64_t before = 0;
      for (const TableBound& bound : table.lookup(key)) {
        REQUIRE(bound.max_tokens > before);
        REQUIRE(covers_row(bound.geometry, key.hidden_dim, key.dtype));
        REQUIRE(bound.microseconds > 0);
        before = bound.max_tokens;
      }
    } catch (const Error& error) {
      ++refused;
      REQUIRE(error.code() == ErrorCode::kInvalidTable);
      REQUIRE(std::string(error.what()).rfind("fuzz.json:", 0) == 0);
    }
  }
  // Both must happen often, or the edits are too tame or too wild to mean anything.
  CHECK(accepted > 1000);
  CHECK(refused > 10000);
}
