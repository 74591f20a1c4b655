#include <optional>
#include <string>
#include <vector>

#include "catch.h"
#include "dispatch/dispatcher.h"
#include "dispatch/geometry.h"
#include "table_text.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

constexpr TokenCapacity kEnough = {1 << 20, 1 << 20};
constexpr int kMultiprocessors = 132;

Dispatcher without_table(int world_size) {
  DispatchFacts facts;
  facts.world_size = world_size;
  facts.multiprocessors = kMultiprocessors;
  return {std::nullopt, facts};
}

Dispatcher with_table(int world_size = 2, Transport transport = Transport::kUnicast) {
  DispatchFacts facts;
  facts.world_size = world_size;
  facts.transport = transport;
  facts.multiprocessors = kMultiprocessors;
  return {Table::parse(kTableText, "t.json"), facts};
}

CallShape fp8_call(std::int64_t tokens) {
  return {.operation = Operation::kFused,
          .dtype = DataType::kBF16,
          .quant = Quant::kFp8,
          .hidden_dim = 7168,
          .tokens = tokens};
}

Geometry default_for(std::int64_t tokens) {
  return default_geometry(7168, DataType::kBF16, tokens, 2, kMultiprocessors);
}

}  // namespace

TEST_CASE("AUTO takes strategy, geometry and time from the table", "[dispatcher]") {
  const Dispatcher dispatcher = with_table();
  Choice choice = dispatcher.choose(fp8_call(8), Strategy::kAuto, kEnough);
  CHECK(choice.strategy == Strategy::kOneShot);
  CHECK(choice.geometry == Geometry{4, 7, 1});
  CHECK(choice.microseconds == 3.5f);

  choice = dispatcher.choose(fp8_call(9), Strategy::kAuto, kEnough);
  CHECK(choice.strategy == Strategy::kTwoShot);  // The cost model never says so for two ranks.
  CHECK(choice.geometry == Geometry{1, 28, 1});
  CHECK(choice.microseconds == 14.0f);

  choice = dispatcher.choose(fp8_call(300000), Strategy::kAuto, kEnough);
  CHECK(choice.strategy == Strategy::kOneShot);
  CHECK(choice.geometry == Geometry{1, 14, 2});
}

TEST_CASE("where the table says nothing, the cost model decides", "[dispatcher]") {
  CallShape dynamic = fp8_call(9);
  dynamic.quant = Quant::kDynamicFp8;
  CHECK(with_table().choose(dynamic, Strategy::kAuto, kEnough).strategy == Strategy::kOneShot);
  CHECK(with_table().choose(dynamic, Strategy::kAuto, kEnough).geometry == default_for(9));
  CHECK(with_table(2, Transport::kMulticast).choose(fp8_call(9), Strategy::kAuto, kEnough).strategy ==
        Strategy::kOneShot);

  // Beyond the last bound too.
  const CallShape plain = {.operation = Operation::kAllReduce,
                           .dtype = DataType::kF32,
                           .quant = Quant::kNone,
                           .hidden_dim = 4,
                           .tokens = 1024};
  CallShape more = plain;
  more.tokens = 1025;
  const Dispatcher multicast = with_table(2, Transport::kMulticast);
  CHECK(multicast.choose(plain, Strategy::kAuto, kEnough).strategy == Strategy::kTwoShot);
  CHECK(multicast.choose(more, Strategy::kAuto, kEnough).strategy == Strategy::kOneShot);
}

TEST_CASE("a call of the other 16-bit type goes by the table's entry, with its geometry", "[dispatcher]") {
  const Dispatcher dispatcher = with_table();
  CallShape call = fp8_call(9);
  call.dtype = DataType::kF16;
  Choice choice = dispatcher.choose(call, Strategy::kAuto, kEnough);
  CHECK(choice.strategy == Strategy::kTwoShot);
  CHECK(choice.geometry == Geometry{1, 28, 1});
  CHECK(choice.microseconds == 14.0f);
  CHECK(dispatcher.last_tokens(call) == std::vector<std::int64_t>{8, 256, TableBound::kNoLimit});
  // f32 has rows of other sizes.
  call.dtype = DataType::kF32;
  CHECK(dispatcher.choose(call, Strategy::kAuto, kEnough).microseconds != 14.0f);
}

TEST_CASE("rows of another size take the strategy of as many bytes of the nearest one", "[dispatcher]") {
  const Dispatcher dispatcher = with_table();
  // The table: up to 8 rows one-shot, to 256 two-shot, then one-shot. Rows of half the size: twice as many.
  CallShape call = fp8_call(16);
  call.hidden_dim = 3584;
  const auto chosen = [&](std::int64_t tokens) {
    call.tokens = tokens;
    return dispatcher.choose(call, Strategy::kAuto, kEnough).strategy;
  };
  CHECK(chosen(1) == Strategy::kOneShot);
  CHECK(chosen(16) == Strategy::kOneShot);
  CHECK(chosen(17) == Strategy::kTwoShot);  // The cost model never says so for two ranks.
  CHECK(chosen(512) == Strategy::kTwoShot);
  CHECK(chosen(513) == Strategy::kOneShot);
  CHECK(dispatcher.last_tokens(call) == std::vector<std::int64_t>{16, 512, TableBound::kNoLimit});
  // The geometry is what such rows take without a table.
  call.tokens = 100;
  const Choice choice = dispatcher.choose(call, Strategy::kAuto, kEnough);
  CHECK(choice.geometry == default_geometry(3584, DataType::kBF16, 100, 2, kMultiprocessors));
  CHECK(choice.microseconds != 14.0f);
  // What does not fit the workspace is the other, as ever.
  CHECK(dispatcher.choose(call, Strategy::kAuto, {100, 99}).strategy == Strategy::kOneShot);

  // Larger rows too: f32 has twice the bytes, so half as many.
  call = fp8_call(4);
  call.dtype = DataType::kF32;
  CHECK(chosen(4) == Strategy::kOneShot);
  CHECK(chosen(5) == Strategy::kTwoShot);
}

TEST_CASE("of several sizes of rows the nearest one counts, by ratio", "[dispatcher]") {
  const auto entry = [](int hidden_dim, const char* strategy) {
    return R"({"world_size": 2, "dtype": "bf16", "quant": "fp8", "transport": "unicast", "hidden_dim": )" +
           std::to_string(hidden_dim) + R"(, "bounds": [{"max_tokens": 1024, "strategy": ")" + strategy +
           R"(", "microseconds": 1, "geometry": {"ctas_per_row": 8, "warps_per_cta": 32, "chunks_per_warp": 1}}]})";
  };
  std::string text = kTableText;
  text.replace(text.find("\"entries\""), std::string::npos,
               "\"entries\": [" + entry(2048, "two_shot") + "," + entry(8192, "one_shot") + "]}");
  DispatchFacts facts;
  facts.world_size = 2;
  facts.multiprocessors = kMultiprocessors;
  const Dispatcher dispatcher(Table::parse(text, "t.json"), facts);
  const auto chosen = [&](int hidden_dim, std::int64_t tokens = 8) {
    CallShape call = fp8_call(tokens);
    call.hidden_dim = hidden_dim;
    return dispatcher.choose(call, Strategy::kAuto, kEnough).strategy;
  };
  CHECK(chosen(1024) == Strategy::kTwoShot);
  CHECK(chosen(4088) == Strategy::kTwoShot);
  CHECK(chosen(4104) == Strategy::kOneShot);
  CHECK(chosen(16384) == Strategy::kOneShot);
  // Beyond the last bound the cost model decides.
  CHECK(chosen(1024, 2048) == Strategy::kTwoShot);
  CHECK(chosen(1024, 2049) == Strategy::kOneShot);
}

TEST_CASE("without a table AUTO is two-shot for large worlds with many tokens", "[dispatcher]") {
  const auto chosen = [](int world_size, std::int64_t tokens) {
    return without_table(world_size).choose(fp8_call(tokens), Strategy::kAuto, kEnough).strategy;
  };
  CHECK(chosen(2, 1) == Strategy::kOneShot);
  CHECK(chosen(2, 100000) == Strategy::kOneShot);
  CHECK(chosen(8, 1) == Strategy::kOneShot);
  CHECK(chosen(8, 512) == Strategy::kTwoShot);
  CHECK(chosen(72, 1) == Strategy::kOneShot);
  CHECK(chosen(72, 512) == Strategy::kTwoShot);
  const Choice choice = without_table(8).choose(fp8_call(512), Strategy::kAuto, kEnough);
  CHECK(choice.geometry == default_for(512));
  CHECK(choice.microseconds > 2);
}

TEST_CASE("AUTO takes the other strategy if only that one fits the workspace", "[dispatcher]") {
  const auto chosen = [](const Dispatcher& dispatcher, TokenCapacity capacity) {
    return dispatcher.choose(fp8_call(100), Strategy::kAuto, capacity);
  };
  // The table says two-shot, the cost model one-shot.
  CHECK(chosen(with_table(), {100, 100}).strategy == Strategy::kTwoShot);
  const Choice other = chosen(with_table(), {100, 99});
  CHECK(other.strategy == Strategy::kOneShot);
  CHECK(other.geometry == default_for(100));  // The table's was measured for two-shot.
  CHECK(other.microseconds != 14.0f);
  CHECK(chosen(without_table(2), {100, 100}).strategy == Strategy::kOneShot);
  CHECK(chosen(without_table(2), {99, 100}).strategy == Strategy::kTwoShot);
  // If neither fits, the choice stands, and the caller reports the capacity.
  CHECK(chosen(with_table(), {99, 99}).strategy == Strategy::kTwoShot);
  CHECK(chosen(without_table(2), {99, 99}).strategy == Strategy::kOneShot);
}

TEST_CASE("a strategy that is asked for is what one gets", "[dispatcher]") {
  const Dispatcher dispatcher = with_table();
  // As in the table: with its geometry.
  Choice choice = dispatcher.choose(fp8_call(100), Strategy::kTwoShot, kEnough);
  CHECK(choice.strategy == Strategy::kTwoShot);
  CHECK(choice.geometry == Geometry{1, 28, 1});
  choice = dispatcher.choose(fp8_call(4), Strategy::kOneShot, kEnough);
  CHECK(choice.geometry == Geometry{4, 7, 1});
  // Other than the table.
  choice = dispatcher.choose(fp8_call(300000), Strategy::kTwoShot, kEnough);
  CHECK(choice.strategy == Strategy::kTwoShot);
  CHECK(choice.geometry == Geometry{1, 28, 1});
  CHECK(choice.geometry == default_for(300000));
  // Also where it does not fit.
  CHECK(dispatcher.choose(fp8_call(100), Strategy::kOneShot, {0, 100}).strategy == Strategy::kOneShot);
}

TEST_CASE("a world of one rank is one-shot whatever is asked for", "[dispatcher]") {
  for (const Strategy requested : {Strategy::kAuto, Strategy::kOneShot, Strategy::kTwoShot}) {
    const Choice choice = without_table(1).choose(fp8_call(100), requested, {0, 0});
    CHECK(choice.strategy == Strategy::kOneShot);
    CHECK(choice.geometry == default_for(100));
  }
}
