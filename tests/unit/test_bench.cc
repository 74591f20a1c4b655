// `allnorm bench` without a GPU: its options, what it would measure, the floor, what it prints.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "env/env.h"
#include "jit/nvrtc.h"
#include "jit/specialize.h"
#include "tools/bench_kernels_source.h"
#include "tools/bench_peers.h"
#include "tools/bench_report.h"
#include "tools/command.h"

using namespace allnorm;
using namespace allnorm::tools;

namespace {

const Floor kFloor = {0.5, LinkFloor{0.75, 360, 400}};
const BenchPlace kPlace = {"NVIDIA H200", 2, false, false};

bool near(double a, double b) { return a > b * (1 - 1e-12) && a < b * (1 + 1e-12); }

/// Of kFloor.
double floor_of(Strategy strategy, int world_size, std::int64_t tokens) {
  return floor_microseconds(kFloor, strategy, world_size, tokens, 14336).value_or(0);
}

Figure figure(std::int64_t tokens, double microseconds, Geometry geometry) {
  Figure figure{7168, DataType::kBF16, {.tokens = tokens}, {{microseconds, 0.02}, Strategy::kOneShot, geometry}, {}};
  figure.floor_microseconds = floor_microseconds(kFloor, Strategy::kOneShot, 2, tokens, 14336);
  return figure;
}

}  // namespace

TEST_CASE("the floor is an empty kernel, the hops, and the bytes at the better rate", "[bench]") {
  // 100 rows of 14336 bytes to one peer, at 4e5 bytes a microsecond.
  CHECK(near(floor_of(Strategy::kOneShot, 2, 100), 0.5 + 0.75 + 3.584));
  // An owner has 50 of them, and sends and receives those twice.
  CHECK(near(floor_of(Strategy::kTwoShot, 2, 100), 0.5 + 2 * 0.75 + 3.584));
  CHECK(near(floor_of(Strategy::kOneShot, 8, 100), 0.5 + 0.75 + 7 * 3.584));
  CHECK(near(floor_of(Strategy::kTwoShot, 8, 96), 0.5 + 2 * 0.75 + 2 * 7 * 12 * 0.03584));
  // Not as many for each: of one row, one of two ranks sends, and gets the sum back, or the other way round.
  CHECK(near(floor_of(Strategy::kTwoShot, 2, 1), 0.5 + 2 * 0.75 + 0.03584));
  CHECK(near(floor_of(Strategy::kTwoShot, 2, 101), 0.5 + 2 * 0.75 + 101 * 0.03584));
  // Of nine rows an eighth rank owns two: in come the seven others' parts of them, and seven sums.
  CHECK(near(floor_of(Strategy::kTwoShot, 8, 9), 0.5 + 2 * 0.75 + (2 * 7 + 7) * 0.03584));
  // No links: nothing to say for ranks that share a GPU, and one rank needs none.
  CHECK_FALSE(floor_microseconds({0.5}, Strategy::kOneShot, 2, 100, 14336));
  CHECK(floor_microseconds({0.5}, Strategy::kOneShot, 1, 100, 14336) == 0.5);
}

TEST_CASE("a summary is the median and the distance of the quartiles", "[bench]") {
  const Summary summary = summarize({5, 1, 4, 2, 3});
  CHECK(summary.median == 3);
  CHECK(summary.quartile_spread == 2);
  CHECK(summarize({7}).median == 7);
  CHECK(summarize({7}).quartile_spread == 0);
}

TEST_CASE("what is measured: every combination, ascending in tokens", "[bench]") {
  BenchOptions options;
  CHECK(bench_variants(options, 7168, DataType::kBF16, false).size() == 13);
  options.tokens = {64, 1};
  options.quants = {Quant::kFp8, Quant::kNvfp4};
  options.layouts = {ScaleLayout::kSwizzled128x4, ScaleLayout::kLinear};
  options.strategies = {Strategy::kOneShot, Strategy::kTwoShot, Strategy::kAuto};
  options.modes = {CallMode::kGraph, CallMode::kEager};
  const auto variants = bench_variants(options, 7168, DataType::kBF16, false);
  REQUIRE(variants.size() == std::size_t{2 * 3 * 3 * 2});  // fp8 has one layout
  CHECK(describe(variants.front()) == "fp8 one_shot early graph");
  CHECK(describe(variants.back()) == "nvfp4 linear auto early eager");
  CHECK(variants.front().tokens == 1);
  CHECK(variants.back().tokens == 64);

  options.pdls = {Pdl::kOff, Pdl::kLateTrigger};
  CHECK(bench_variants(options, 7168, DataType::kBF16, false).size() == std::size_t{2 * 3 * 3 * 2 * 2});
  for (const Variant& variant : bench_variants(options, 7168, DataType::kBF16, true)) CHECK(variant.pdl == Pdl::kOff);
}

TEST_CASE("a sweep has all geometries, both strategies and both triggers, where they were not given", "[bench]") {
  BenchOptions options;
  options.tokens = {1};
  options.sweep = true;
  const auto all = bench_variants(options, 7168, DataType::kBF16, false);
  CHECK(all.size() > 40);
  for (const Variant& variant : all) {
    CHECK(variant.geometry.value_or(Geometry{1, 1, 5}).chunks_per_warp <= 4);
  }
  CHECK(describe(all.front()).starts_with("fp8 one_shot 1x"));
  CHECK(describe(all.back()).ends_with(" late graph"));
  options.strategies = {Strategy::kTwoShot};
  options.pdls = {Pdl::kOff};
  CHECK(bench_variants(options, 7168, DataType::kBF16, false).size() * 4 == all.size());
  options.sweep = false;
  options.geometries = {{4, 7, 1}};
  const auto one = bench_variants(options, 7168, DataType::kBF16, false);
  REQUIRE(one.size() == 1);
  CHECK(describe(one[0]) == "fp8 two_shot 4x7x1 no-pdl graph");
}

TEST_CASE("the table has the ratio to the floor, or says that there is none", "[bench]") {
  Figure shared = figure(64, 9, {1, 28, 1});
  shared.floor_microseconds.reset();
  shared.variant.strategy = Strategy::kTwoShot;
  shared.measured.strategy = Strategy::kTwoShot;
  shared.variant.pdl = Pdl::kOff;
  shared.variant.mode = CallMode::kEager;
  CHECK(to_table({figure(1, 2.5717, {4, 7, 1}), shared}, false) ==
        "tokens  quant  strategy        geometry  pdl    mode   us a call  spread  floor  ratio\n"
        "     1  fp8    auto: one_shot  4x7x1     early  graph       2.57    0.02   1.29   2.00\n"
        "    64  fp8    two_shot        1x28x1    off    eager       9.00    0.02      -      -\n");
}

TEST_CASE("the table of a sweep has the six fastest of each token count", "[bench]") {
  std::vector<Figure> figures;
  for (std::uint8_t warps = 1; warps <= 9; ++warps) {
    figures.push_back(figure(1, 10.0 - warps, {1, warps, 1}));
    figures.push_back(figure(2, 10.0 + warps, {1, warps, 1}));
  }
  const std::string table = to_table(figures, true);
  CHECK(std::count(table.begin(), table.end(), '\n') == 1 + 2 * 6);
  CHECK(table.find(" 1x9x1 ") < table.find(" 1x8x1 "));
  CHECK(table.find(" 1x7x1 ") == table.rfind(" 1x7x1 "));
}

TEST_CASE("a line of JSON says all that is needed to know what was measured", "[bench]") {
  BenchOptions options;
  options.cold_l2 = true;
  const auto json = nlohmann::json::parse(to_json(kPlace, options, figure(100, 9.668, {4, 7, 1})));
  const nlohmann::json expected = {{"figure", "call"},
                                   {"device", "NVIDIA H200"},
                                   {"world_size", 2},
                                   {"processes", false},
                                   {"virtual_ranks", false},
                                   {"hidden_dim", 7168},
                                   {"dtype", "bf16"},
                                   {"quant", "fp8"},
                                   {"layout", nullptr},
                                   {"tokens", 100},
                                   {"mode", "graph"},
                                   {"pdl", "early"},
                                   {"strategy_asked", "auto"},
                                   {"strategy", "one_shot"},
                                   {"geometry", "4x7x1"},
                                   {"geometry_asked", false},
                                   {"l2", "cold"},
                                   {"aligned", false},
                                   {"microseconds", 9.668},
                                   {"repetitions", 25},
                                   {"quartile_spread", 0.02},
                                   {"floor_microseconds", 0.5 + 0.75 + 3.584}};
  for (const auto& [name, value] : expected.items()) {
    INFO(name);
    CHECK(json[name] == value);
  }
  CHECK(near(json["ratio"], 2));
  CHECK(json.size() == expected.size() + 1);

  Figure shared = figure(1, 2, {4, 7, 1});
  shared.variant.quant = Quant::kNvfp4;
  shared.floor_microseconds.reset();
  const auto without = nlohmann::json::parse(to_json(kPlace, options, shared));
  CHECK(without["layout"] == "swizzled_128x4");
  CHECK(without["floor_microseconds"].is_null());
  CHECK(without["ratio"].is_null());
}

TEST_CASE("the place and the floor in words and as JSON", "[bench]") {
  CHECK(describe(kPlace) == "2 x NVIDIA H200, a rank on each");
  CHECK(describe(BenchPlace{"NVIDIA H200", 2, true, false}) == "2 x NVIDIA H200, a process with a rank on each");
  CHECK(describe(BenchPlace{"NVIDIA H200", 2, false, true}) ==
        "NVIDIA H200, 2 virtual ranks, which share it: no measure of NVLink");
  CHECK(
      describe(kFloor) ==
      "empty kernel 0.50 us, a store to the peer 0.75 us, out of a rank 360 GB/s by stores and 400 by the copy engine, "
      "all ranks at once");
  CHECK(describe(Floor{0.5}) == "empty kernel 0.50 us");
  const auto json = nlohmann::json::parse(to_json(kPlace, kFloor));
  CHECK(json["figure"] == "floor");
  CHECK(json["empty_kernel_microseconds"] == 0.5);
  CHECK(json["copy_gigabytes_per_second"] == 400);
  CHECK_FALSE(nlohmann::json::parse(to_json(kPlace, Floor{0.5})).contains("one_way_microseconds"));
}

TEST_CASE("the chart has a line for each kind of call, and one for the floor", "[bench]") {
  Figure other = figure(2, 4, {4, 7, 1});
  other.variant.quant = Quant::kNone;
  const std::string svg = to_chart(kPlace, {figure(1, 3, {4, 7, 1}), figure(2, 3.5, {4, 7, 1}), other}, {});
  for (const char* name : {"7168 bf16 fp8 auto early graph", "7168 bf16 none auto early graph", "7168 bf16 floor"}) {
    CHECK(svg.find(std::string(">") + name + "<") != std::string::npos);
  }
}

TEST_CASE("the kernels that measure the machine compile for every GPU", "[bench]") {
  const auto nvrtc = Nvrtc::load(Env::from_process().nvrtc_path);
  for (const Target target : {Target::kSm90a, Target::kSm100a, Target::kSm103a, Target::kSm120a}) {
    CHECK_FALSE(nvrtc->compile(kBenchKernelsSource, "allnorm_bench.cu", {}, compile_options(target)).cubin.empty());
  }
}

#ifdef ALLNORM_COMMAND

using allnorm::command_test::can_start_programs;
using allnorm::command_test::check_refused;
using allnorm::command_test::contains;
using allnorm::command_test::run;

TEST_CASE("bench without a GPU says that times of the simulator mean nothing", "[bench]") {
  for (const char* environment : {"", "ALLNORM_DEVICE=sim:2"}) {
    const auto outcome = run("bench --tokens 1 --json", environment);
    CHECK(outcome.code == 3);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.starts_with("allnorm: the CUDA driver could not be loaded"));
    CHECK(contains(outcome.err, "times of simulated GPUs mean nothing, `allnorm simulate` runs calls there\n"));
  }
  if (!can_start_programs()) return;
  const auto spawned = run("bench --spawn 2");
  CHECK(spawned.code == 3);
  CHECK(contains(spawned.err, "times of simulated GPUs mean nothing"));
}

TEST_CASE("bench refuses what it cannot measure, before anything else", "[bench]") {
  check_refused("bench --tokens 0", "--tokens: \"0\" given, allowed: ");
  check_refused("bench --hidden 7161", "--hidden: 7161 given, allowed: multiples of 8");
  check_refused("bench --hidden 4104 --quant fp8,nvfp4", "--hidden: 4104 given, allowed: multiples of 16");
  check_refused("bench --dtype e4m3", "--dtype: \"e4m3\" given, allowed: f32, f16, bf16");
  check_refused("bench --quant fp8,fp9", "--quant: \"fp9\" given, allowed: none, fp8, nvfp4, dynamic_fp8");
  check_refused("bench --layout swizzled_8x4", "--layout: \"swizzled_8x4\" given, allowed: swizzled_128x4, linear");
  check_refused("bench --strategy three_shot", "--strategy: \"three_shot\" given, allowed: one_shot, two_shot, auto");
  check_refused("bench --pdl on", "--pdl: \"on\" given, allowed: off, early, late");
  check_refused("bench --geometry 4x7", "--geometry: \"4x7\" given, allowed: CTAS_PER_ROWx");
  check_refused("bench --geometry 1x1x1", "--geometry: 1 ctas_per_row");
  check_refused("bench --geometry 4x7x1 --sweep", "--sweep: with --geometry given, allowed: one of the two");
  check_refused("bench --sweep --plot x.svg", "--plot: with --sweep given, allowed: without it");
  check_refused("bench --mode fast", "--mode: \"fast\" given, allowed: graph, eager, both");
  check_refused("bench --l2 hot", "--l2: \"hot\" given, allowed: warm, cold");
  check_refused("bench --repetitions 0", "--repetitions: \"0\" given, allowed: whole numbers from 1 to 10000");
  check_refused("bench --ranks 9", "--ranks: \"9\" given, allowed: whole numbers from 1 to 8");
  check_refused("bench --spawn 1", "--spawn: \"1\" given, allowed: whole numbers from 2 to 72");
}

#endif  // ALLNORM_COMMAND

namespace {

std::string peer_line(const std::string& peer, int tokens, double microseconds, const std::string& more = "") {
  return fmt::format(R"({{"peer": "{}", "device": "NVIDIA H200", "world": 2, "hidden_dim": 7168, "dtype": "bf16", )"
                     R"("quant": "fp8", "tokens": {}, "mode": "graph", "microseconds": {}{}}})"
                     "\n",
                     peer, tokens, microseconds, more);
}

std::string refusal_of(const std::string& text) {
  try {
    parse_peers(text, "--peers");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("peers are compared with the calls of the same shape, each at its best setting", "[bench]") {
  const auto peers = parse_peers(peer_line("nccl", 1, 11) + "\n" + peer_line("flashinfer", 1, 5, R"(, "pdl": false)") +
                                     peer_line("flashinfer", 1, 4.5, R"(, "pdl": true)") + peer_line("nccl", 4, 12) +
                                     R"({"peer": "flashinfer", "error": "no workspace"})" + "\n",
                                 "--peers");
  CHECK(peers.size() == 3);
  const std::vector<Figure> figures = {figure(1, 3, {8, 4, 1}), figure(2, 3.1, {8, 4, 1})};
  const auto comparisons = compare(kPlace, figures, peers);
  REQUIRE(comparisons.size() == 2);
  CHECK(comparisons[0].peer.peer == "flashinfer");
  CHECK(near(comparisons[0].ratio(), 1.5));
  CHECK(near(comparisons[1].ratio(), 11.0 / 3));
  CHECK(to_table(comparisons).find("1.50") != std::string::npos);
  CHECK(nlohmann::json::parse(to_json(comparisons[0]))["ratio"] == 1.5);
  const std::string svg = to_chart(kPlace, figures, comparisons);
  CHECK(svg.find("7168 bf16 fp8 flashinfer") != std::string::npos);
  CHECK(svg.find("floor") != std::string::npos);

  BenchPlace other = kPlace;
  other.world_size = 4;
  CHECK(compare(other, figures, peers).empty());
  other = kPlace;
  other.device = "NVIDIA H100";
  CHECK(compare(other, figures, peers).empty());
}

TEST_CASE("a file of peers that is none is refused with its line", "[bench]") {
  const std::string good = peer_line("nccl", 1, 11);
  CHECK(refusal_of(good) == "none");
  CHECK(refusal_of(good + "microseconds").find("line 2: no JSON object") != std::string::npos);
  CHECK(refusal_of("{}").find("line 1: no \"peer\"") != std::string::npos);
  CHECK(refusal_of(peer_line("nccl", 1, -1)).find("\"microseconds\": not above 0") != std::string::npos);
  CHECK(refusal_of(peer_line("nccl", 1, 1, R"(, "tokens": "many")")).find("\"tokens\": \"many\" given") !=
        std::string::npos);
  CHECK(refusal_of(peer_line("nccl", 1, 1, R"(, "quant": "int3")")).find("int3") != std::string::npos);
  CHECK_THROWS_AS(read_peers("/nonexistent/peers.jsonl", "--peers"), UsageError);
}
