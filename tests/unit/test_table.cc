#include <string>

#include "catch.h"
#include "dispatch/json_tree.h"
#include "dispatch/table.h"
#include "error_of.h"
#include "table_text.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

const TableKey kFp8Key = {.operation = Operation::kFused,
                          .transport = Transport::kUnicast,
                          .quant = Quant::kFp8,
                          .dtype = DataType::kBF16,
                          .world_size = 2,
                          .hidden_dim = 7168};

}  // namespace

TEST_CASE("a table gives back what was written", "[table]") {
  const Table table = Table::parse(kTableText, "t.json");
  CHECK(table.provenance().device == "NVIDIA H200");
  CHECK(table.provenance().driver == "580.95");
  CHECK(table.provenance().nvrtc == "13.0");
  CHECK(table.provenance().kernel_digest == "d1");
  CHECK(table.provenance().date == "2026-11-23");
  CHECK(table.provenance().tool == "by hand");
  CHECK(table.entry_count() == 2);

  const auto bounds = table.lookup(kFp8Key);
  REQUIRE(bounds.size() == 3);
  CHECK(bounds[0].max_tokens == 8);
  CHECK(bounds[0].strategy == Strategy::kOneShot);
  CHECK(bounds[0].geometry == Geometry{4, 7, 1});
  CHECK(bounds[0].microseconds == 3.5f);
  CHECK(bounds[1].strategy == Strategy::kTwoShot);
  CHECK(bounds[1].microseconds == 14.0f);
  CHECK(bounds[2].max_tokens == TableBound::kNoLimit);
  CHECK(bounds[2].geometry == Geometry{1, 14, 2});
  CHECK(bounds[2].microseconds == 165.0f);
}

TEST_CASE("every field of the key counts in a lookup", "[table]") {
  const Table table = Table::parse(kTableText, "t.json");
  const auto found = [&](auto change) {
    TableKey key = kFp8Key;
    change(key);
    return !table.lookup(key).empty();
  };
  CHECK(found([](TableKey&) {}));
  CHECK_FALSE(found([](TableKey& k) { k.operation = Operation::kAllReduce; }));
  CHECK_FALSE(found([](TableKey& k) { k.transport = Transport::kMulticast; }));
  CHECK_FALSE(found([](TableKey& k) { k.quant = Quant::kNone; }));
  CHECK_FALSE(found([](TableKey& k) { k.dtype = DataType::kF16; }));
  CHECK_FALSE(found([](TableKey& k) { k.world_size = 3; }));
  CHECK_FALSE(found([](TableKey& k) { k.hidden_dim = 7176; }));
  CHECK(found([](TableKey& k) {
    k = {Operation::kAllReduce, Transport::kMulticast, Quant::kNone, DataType::kF32, 2, 4};
  }));
}

TEST_CASE("a lookup does not depend on the order of the entries", "[table]") {
  std::string entries;
  for (const int hidden_dim : {4096, 16, 7168, 2880, 65536, 8}) {
    if (!entries.empty()) entries += ",";
    entries += R"({"world_size": 2, "dtype": "bf16", "quant": "fp8", "transport": "unicast",
      "hidden_dim": )" +
               std::to_string(hidden_dim) + R"(, "bounds": [{"max_tokens": )" +
               std::to_string(hidden_dim) + R"(, "strategy": "one_shot", "microseconds": 1,
      "geometry": {"ctas_per_row": 8, "warps_per_cta": 32, "chunks_per_warp": 1}}]})";
  }
  std::string text = kTableText;
  text.replace(text.find("\"entries\""), std::string::npos, "\"entries\": [" + entries + "]}");
  const Table table = Table::parse(text, "t.json");
  for (const int hidden_dim : {8, 16, 2880, 4096, 7168, 65536}) {
    TableKey key = kFp8Key;
    key.hidden_dim = hidden_dim;
    const auto bounds = table.lookup(key);
    REQUIRE(bounds.size() == 1);
    CHECK(bounds[0].max_tokens == hidden_dim);
  }
}

TEST_CASE("a bound holds up to its max_tokens, null holds all", "[table]") {
  const Table table = Table::parse(kTableText, "t.json");
  const auto bounds = table.lookup(kFp8Key);
  CHECK(choose(bounds, 1) == &bounds[0]);
  CHECK(choose(bounds, 8) == &bounds[0]);
  CHECK(choose(bounds, 9) == &bounds[1]);
  CHECK(choose(bounds, 256) == &bounds[1]);
  CHECK(choose(bounds, 257) == &bounds[2]);
  CHECK(choose(bounds, TableBound::kNoLimit) == &bounds[2]);
  CHECK(choose(bounds.first(2), 257) == nullptr);
  CHECK(choose({}, 1) == nullptr);
}

TEST_CASE("a table may have no entries", "[table]") {
  std::string text = kTableText;
  text.replace(text.find("\"entries\""), std::string::npos, "\"entries\": []}");
  CHECK(Table::parse(text, "t.json").entry_count() == 0);
}
