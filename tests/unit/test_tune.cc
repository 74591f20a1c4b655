// `allnorm tune` without a GPU: its report, its options.
#include <cmath>
#include <limits>

#include "catch.h"
#include "command.h"
#include "tools/tune_entry.h"
#include "tools/tune_report.h"

using namespace allnorm;
using namespace allnorm::tools;

namespace {

const Candidate kOne = {Strategy::kOneShot, {4, 7, 1}};
const Candidate kTwo = {Strategy::kTwoShot, {1, 28, 1}};

Standing standing(const Candidate& candidate, double time) { return {candidate, {time, time}, {time, 0}, false}; }

TunedEntry entry() {
  TunedEntry entry;
  entry.kind.key = {Operation::kFused, Transport::kUnicast, Quant::kFp8, DataType::kBF16, 2, 7168};
  entry.place = "2 x NVIDIA H200, a rank on each";
  entry.races[1] = {1, {standing(kOne, 3), standing(kTwo, 4)}, true};
  entry.races[64] = {64, {standing(kTwo, 8), standing(kOne, 9)}, true};
  entry.bounds = {{8, Strategy::kOneShot, {4, 7, 1}, 3.25F}, {TableBound::kNoLimit, Strategy::kTwoShot, {1, 28, 1}, 8}};
  entry.policies = {{"AUTO with the table", {}}, {"AUTO with the cost model", {}}, {"always one-shot", {}}};
  entry.regrets = {{5, standing(kOne, 4), {standing(kOne, 4), standing(kOne, 4), standing(kTwo, 5)}},
                   {48, standing(kTwo, 8), {standing(kTwo, 8.12), standing(kOne, 8.8), standing(kOne, 9)}}};
  return entry;
}

}  // namespace

TEST_CASE("the skew of launches is no part of what is tuned", "[tune]") {
  const MeterOptions options = meter_options(entry().kind.key, 512);
  CHECK(options.aligned);
  CHECK_FALSE(options.cold_l2);
  CHECK(options.shape.hidden_dim == 7168);
  CHECK(options.shape.max_tokens == 512);
}

TEST_CASE("an entry in words", "[tune]") {
  CHECK(describe(entry().kind.key) == "world 2, 7168 bf16 fp8");
  CHECK(file_name(entry().kind.key) == "w2-7168-bf16-fp8-unicast");
  CHECK(bounds_text(entry().bounds) ==
        "tokens up to  strategy  geometry  us a call\n"
        "           8  one_shot  4x7x1          3.25\n"
        "         any  two_shot  1x28x1         8.00\n");
  CHECK(regret_sentence(entry()) ==
        "AUTO at 2 token counts that the table was not made from: at most 1.5 % longer than the best, at 48 tokens");
  CHECK(regret_text(entry()) ==
        "tokens  AUTO               us  the best           us  regret  cost model's  one-shot's\n"
        "     5  one_shot 4x7x1   4.00  one_shot 4x7x1   4.00   0.0 %         0.0 %      25.0 %\n"
        "    48  two_shot 1x28x1  8.12  two_shot 1x28x1  8.00   1.5 %        10.0 %      12.5 %\n");
}

TEST_CASE("an entry says how many of its races were not clear, and why", "[tune]") {
  TunedEntry entry = ::entry();
  CHECK(races_sentence(entry) == "2 races, all clear");
  entry.races[1].is_clear = false;
  CHECK(races_sentence(entry) == "2 races, 1 not clear at their end");
  entry.races[64].is_clear = false;
  entry.races[64].is_cut_short = true;
  CHECK(races_sentence(entry) == "2 races, 2 not clear at their end, 1 of them for want of time");
  CHECK(to_markdown(entry).find(races_sentence(entry)) != std::string::npos);
}

TEST_CASE("an entry whose regret was not measured, or has no end", "[tune]") {
  TunedEntry unmeasured = entry();
  unmeasured.regrets.clear();
  CHECK(regret_sentence(unmeasured) == "the regret of AUTO was not measured");
  CHECK(to_markdown(unmeasured).find("regret.svg") == std::string::npos);
  TunedEntry checked = entry();
  checked.races.clear();
  CHECK(regret_sentence(checked) == "AUTO at 2 token counts: at most 1.5 % longer than the best, at 48 tokens");
  TunedEntry no_room = entry();
  no_room.regrets[0].of_policies[0].time.median = std::numeric_limits<double>::infinity();
  CHECK(regret_sentence(no_room) == "at 5 tokens, the GPU has no room for what AUTO chooses");
  for (const std::string& svg : {regret_chart(no_room), time_chart(no_room)}) {
    CHECK(svg.find("inf") == std::string::npos);
    CHECK(svg.find("nan") == std::string::npos);
  }
}

TEST_CASE("the charts have a line for each strategy, the crossover, and each policy", "[tune]") {
  const std::string time = time_chart(entry());
  for (const char* name : {"one_shot, its best geometry", "two_shot, its best geometry", "crossover, above 8 tokens",
                           "Fused call: world 2, 7168 bf16 fp8, 2 x NVIDIA H200, a rank on each"}) {
    INFO(name);
    CHECK(time.find(std::string(">") + name + "<") != std::string::npos);
  }
  const std::string regret = regret_chart(entry());
  for (const char* name : {"AUTO with the table", "AUTO with the cost model", "always one-shot"}) {
    INFO(name);
    CHECK(regret.find(std::string(">") + name + "<") != std::string::npos);
  }
}

#ifdef ALLNORM_COMMAND

using allnorm::command_test::can_start_programs;
using allnorm::command_test::check_refused;
using allnorm::command_test::contains;
using allnorm::command_test::Folder;
using allnorm::command_test::read_file;
using allnorm::command_test::run;

TEST_CASE("a report is a text and two charts in a folder that it makes", "[tune]") {
  const Folder folder;
  write_report(folder / "a/b", entry());
  const std::string text = read_file(folder / "a/b/w2-7168-bf16-fp8-unicast.md");
  CHECK(contains(text, "# world 2, 7168 bf16 fp8\n"));
  CHECK(contains(text, "(w2-7168-bf16-fp8-unicast-time.svg)"));
  CHECK(read_file(folder / "a/b/w2-7168-bf16-fp8-unicast-time.svg") == time_chart(entry()));
  CHECK(read_file(folder / "a/b/w2-7168-bf16-fp8-unicast-regret.svg") == regret_chart(entry()));
}

TEST_CASE("tune without a GPU says that times of the simulator mean nothing, and writes no table", "[tune]") {
  const Folder folder;
  const std::string output = folder / "t.json";
  for (const std::string& arguments :
       {"tune --output " + output, "tune --spawn 2 --output " + output, std::string("tune --check")}) {
    if (contains(arguments, "--spawn") && !can_start_programs()) continue;
    for (const char* environment : {"", "ALLNORM_DEVICE=sim:2"}) {
      INFO(arguments);
      const auto outcome = run(arguments, environment);
      CHECK(outcome.code == 3);
      CHECK(outcome.out.empty());
      CHECK(contains(outcome.err, "times of simulated GPUs mean nothing\n"));
    }
  }
  CHECK(read_file(output).empty());
}

TEST_CASE("tune refuses what it cannot measure, before anything else", "[tune]") {
  check_refused("tune --hidden 7161", "--hidden: 7161 given, allowed: multiples of 8");
  check_refused("tune --hidden 4104 --quant fp8,nvfp4", "--hidden: 4104 given, allowed: multiples of 16");
  check_refused("tune --dtype e4m3", "--dtype: \"e4m3\" given, allowed: f32, f16, bf16");
  check_refused("tune --quant fp9", "--quant: \"fp9\" given, allowed: none, fp8, nvfp4, dynamic_fp8");
  check_refused("tune --ranks 0", "--ranks: \"0\" given, allowed: ");
  check_refused("tune --ranks 2,73", "--ranks: \"73\" given, allowed: ");
  check_refused("tune --spawn 1", "--spawn: \"1\" given, allowed: whole numbers from 2 to 72");
  check_refused("tune --spawn 2 --ranks 2", "--spawn: with --ranks given, allowed: one of the two");
  check_refused("tune --max-tokens 0", "--max-tokens: \"0\" given, allowed: whole numbers from 1 to 65536");
  check_refused("tune --seconds 0", "--seconds: \"0\" given, allowed: whole numbers from 1 to 3600");
  check_refused("tune --fresh -1", "--fresh: \"-1\" given, allowed: whole numbers from 0 to 1000");
  check_refused("tune --check --output x.json", "--output: with --check given, allowed: --table");
  check_refused("tune --check --again", "--again: with --check given, allowed: one of the two");
  check_refused("tune --check --fresh 0", "--fresh: \"0\" with --check given, allowed: 1 or more");
  check_refused("tune --table x.json", "--table: without --check given, allowed: --output");
}

#endif  // ALLNORM_COMMAND
