// auto_specs: that it has every kernel that calls choose, and no other.
#include <algorithm>
#include <limits>
#include <set>

#include "catch.h"
#include "device/sim/machine.h"
#include "dispatch/auto_specs.h"
#include "dispatch/geometry.h"
#include "dispatch/names.h"
#include "table_text.h"

using namespace allnorm;
using namespace allnorm::testing;

namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

Spec fp8_kind(int world_size, int hidden_dim = 7168) {
  Spec spec;
  spec.quant = Quant::kFp8;
  spec.world_size = static_cast<std::uint8_t>(world_size);
  spec.hidden_dim = hidden_dim;
  return spec;
}

Spec chosen(const Spec& kind, const std::optional<Table>& table, int multiprocessors, std::int64_t tokens,
            Strategy requested, const TokenCapacity& capacity) {
  const Dispatcher dispatcher(table, {kind.world_size, kind.transport, multiprocessors, link_model(kind.target)});
  const Choice choice =
      dispatcher.choose({kind.operation, kind.dtype, kind.quant, kind.hidden_dim, tokens}, requested, capacity);
  Spec spec = kind;
  spec.strategy = choice.strategy;
  spec.geometry = choice.geometry;
  return spec;
}

std::set<Spec> as_set(const std::vector<Spec>& specs) {
  std::set<Spec> set(specs.begin(), specs.end());
  CHECK(set.size() == specs.size());
  return set;
}

Table table() { return Table::parse(kTableText, "t.json"); }

}  // namespace

TEST_CASE("every choice for every workspace is there, and nothing else", "[auto_specs]") {
  for (const Target target : {Target::kSm90a, Target::kSm120a, Target::kHost}) {
    for (const int world : {1, 2, 8, 72}) {
      for (const int hidden_dim : {16, 4096, 7168, 65536}) {
        Spec kind = fp8_kind(world, hidden_dim);
        kind.target = target;
        std::set<Spec> expected;
        for (const int multiprocessors : known_multiprocessors(target)) {
          for (std::int64_t tokens = 1; tokens <= 700; tokens++) {
            // What a workspace may hold: anything.
            for (const std::int64_t one_shot : {std::int64_t{0}, std::int64_t{64}, kUnlimited}) {
              for (const std::int64_t two_shot : {std::int64_t{0}, std::int64_t{64}, kUnlimited}) {
                expected.insert(
                    chosen(kind, std::nullopt, multiprocessors, tokens, Strategy::kAuto, {one_shot, two_shot}));
              }
            }
          }
        }
        CHECK(as_set(auto_specs(kind, std::nullopt, {.max_tokens = 700})) == expected);
      }
    }
  }
}

TEST_CASE("a workspace of a known size needs fewer", "[auto_specs]") {
  const Spec kind = fp8_kind(2);
  AutoQuestion question;
  question.max_tokens = 4096;
  const std::size_t any = auto_specs(kind, std::nullopt, question).size();
  // The cost model takes one-shot for two ranks whatever the tokens.
  question.capacity = TokenCapacity{kUnlimited, kUnlimited};
  const auto both = auto_specs(kind, std::nullopt, question);
  CHECK(both.size() * 2 == any);
  for (const Spec& spec : both) CHECK(spec.strategy == Strategy::kOneShot);
  // Where it holds few tokens of one-shot calls, the others are two-shot, in the geometries of many tokens.
  question.capacity = TokenCapacity{8, 4096};
  const auto specs = auto_specs(kind, std::nullopt, question);
  CHECK(specs.front() == chosen(kind, std::nullopt, 132, 8, Strategy::kAuto, {8, 4096}));
  const std::set<Spec> set = as_set(specs);
  for (const std::int64_t tokens : {8, 9, 100, 4096}) {
    CHECK(set.contains(chosen(kind, std::nullopt, 132, tokens, Strategy::kAuto, {8, 4096})));
  }
}

TEST_CASE("fewer tokens and other GPUs change what is chosen", "[auto_specs]") {
  const Spec kind = fp8_kind(8);
  CHECK(auto_specs(kind, std::nullopt, {.max_tokens = 1, .capacity = TokenCapacity{1, 1}}).size() == 1);
  CHECK(
      auto_specs(kind, std::nullopt, {.max_tokens = 40, .capacity = TokenCapacity{40, 40}, .multiprocessors = {20}}) !=
      auto_specs(kind, std::nullopt, {.max_tokens = 40, .capacity = TokenCapacity{40, 40}, .multiprocessors = {132}}));
}

TEST_CASE("a strategy that is asked for is the only one", "[auto_specs]") {
  for (const Strategy strategy : kKernelStrategies) {
    const auto specs = auto_specs(fp8_kind(8), std::nullopt, {.requested = strategy});
    CHECK(specs.size() == 3);
    for (const Spec& spec : specs) CHECK(spec.strategy == strategy);
  }
}

TEST_CASE("all of a table's choices are there, also those for more tokens than are asked for one by one",
          "[auto_specs]") {
  const Spec kind = fp8_kind(2);
  std::set<Spec> expected;
  for (const int multiprocessors : known_multiprocessors(kind.target)) {
    for (std::int64_t tokens = 1; tokens <= 300; tokens++) {
      for (const TokenCapacity& capacity :
           {TokenCapacity{kUnlimited, kUnlimited}, TokenCapacity{kUnlimited, 0}, TokenCapacity{0, kUnlimited}}) {
        expected.insert(chosen(kind, table(), multiprocessors, tokens, Strategy::kAuto, capacity));
      }
    }
  }
  CHECK(as_set(auto_specs(kind, table(), {})) == expected);
  CHECK(as_set(auto_specs(kind, table(), {})).contains(chosen(kind, table(), 132, 9, Strategy::kAuto, {9, 9})));

  // The last bound begins beyond the default limit.
  const auto late = Table::parse(table_with("\"max_tokens\": 256", "\"max_tokens\": 500000"), "t.json");
  Spec last = kind;
  last.strategy = Strategy::kOneShot;
  last.geometry = {1, 14, 2};
  CHECK(as_set(auto_specs(kind, late, {})).contains(last));
  CHECK_FALSE(as_set(auto_specs(kind, late, {.max_tokens = 4096})).contains(last));
}

TEST_CASE("rows that go by the entry of larger rows need its bounds beyond the default limit, too", "[auto_specs]") {
  // Up to 3000 rows two-shot: 6000 of half the size.
  const auto late = Table::parse(table_with("\"max_tokens\": 256", "\"max_tokens\": 3000"), "t.json");
  const Spec kind = fp8_kind(2, 3584);
  Spec last = kind;
  last.strategy = Strategy::kOneShot;
  last.geometry = default_geometry(3584, DataType::kBF16, 6001, last.world_size, 132);
  const AutoQuestion question = {.capacity = TokenCapacity{1 << 20, 1 << 20}, .multiprocessors = {132}};
  CHECK(as_set(auto_specs(kind, late, question)).contains(last));
}

TEST_CASE("the entries of a table can be listed", "[auto_specs]") {
  const std::vector<TableKey> keys = table().keys();
  REQUIRE(keys.size() == 2);
  CHECK(std::is_sorted(keys.begin(), keys.end()));
  for (const TableKey& key : keys) CHECK_FALSE(table().lookup(key).empty());
}

TEST_CASE("the simulated GPU has the multiprocessors that are known of it", "[auto_specs]") {
  const auto known = known_multiprocessors(Target::kHost);
  REQUIRE(known.size() == 1);
  CHECK(known.front() == static_cast<int>(allnorm::sim::MachineOptions().multiprocessors));
}
