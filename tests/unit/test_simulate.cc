// `allnorm simulate` as a user meets it.
#include <nlohmann/json.hpp>
#include <string>

#include "catch.h"
#include "command.h"

#ifdef ALLNORM_COMMAND

using namespace allnorm::command_test;

namespace {

/// The rest of the line after `begin`.
std::string line_after(const std::string& text, const std::string& begin) {
  const std::size_t at = text.find(begin);
  REQUIRE(at != std::string::npos);
  const std::size_t from = at + begin.size();
  return text.substr(from, text.find('\n', from) - from);
}

/// A command line that simulate printed, run as it is.
Outcome run_again(const std::string& command) {
  const std::string program = "allnorm ";
  INFO(command);
  REQUIRE(command.starts_with(program));
  return run(command.substr(program.size()));
}

}  // namespace

TEST_CASE("simulate verifies every schedule of a scenario", "[simulate]") {
  const Outcome outcome = run("simulate --seeds 5");
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(outcome.out.starts_with(
      "Runs the scenario standard: 3 ranks on 3 simulated GPUs, 8 calls; policy random, seeds 1 to 5.\n"));
  CHECK(line_after(outcome.out, "\ndistinct interleavings ").ends_with("5"));
  CHECK(contains(outcome.out, "\nall 5 schedules passed: every output byte and status is as it must be\n"));
}

TEST_CASE("simulate has a scenario's calls in any shape", "[simulate]") {
  const auto json = nlohmann::json::parse(
      run("simulate --world 2 --calls 5 --tokens 2,1 --hidden 32,64,16 --dtype f16,f32 --quant nvfp4,none,fp8 "
          "--strategy two_shot,one_shot --transport multicast --pdl early --multiprocessors 2 --seeds 3 --json")
          .out);
  CHECK(json["world"] == 2);
  CHECK(json["calls"] == 5);
  CHECK(json["schedules"] == 3);
  CHECK(json["failures"] == 0);
  CHECK(json["first_failure"].is_null());
  CHECK(json["steps"] > 100);
  for (const char* arguments :
       {"--scenario grid_not_resident", "--world 4 --ranks-per-gpu 2 --policy round_robin",
        "--operation all_reduce,fused", "--policy starve --starved-rank 1 --first-seed 9",
        "--stall rank=1,at=store,steps=1000 --no-stale-loads", "--scenario partial_sum_published"}) {
    INFO(arguments);
    const Outcome outcome = run("simulate --calls 2 --tokens 2 --seeds 2 " + std::string(arguments));
    INFO(outcome.out << outcome.err);
    CHECK(outcome.code == 0);
  }
}

TEST_CASE("simulate catches a mutation and says how to repeat the failure", "[simulate]") {
  const Outcome outcome = run("simulate --mutation clear_next_buffer --seeds 3 --first-seed 11");
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "\ncaught: 3 of 3 schedules failed\n"));
  const std::string what = line_after(outcome.out, "\nSeed 11 failed: ");
  const std::string command = line_after(outcome.out, "\nAgain: ");
  CHECK(command == "allnorm simulate --mutation clear_next_buffer --first-seed 11 --seeds 1");

  const Outcome again = run_again(command);
  CHECK(again.code == 0);
  CHECK(line_after(again.out, "\nSeed 11 failed: ") == what);
}

TEST_CASE("a failure that depends on its seed comes again with all that was given", "[simulate]") {
  const auto json = nlohmann::json::parse(
      run("simulate --mutation input_not_sanitized --calls 3 --tokens 2,1 --policy starve --starved-rank 2 --seeds 20 "
          "--stall rank=0,at=load,steps=50 --stall rank=1,at=store,occurrence=3,steps=90 --json")
          .out);
  REQUIRE(json["caught"] == true);
  const std::string what = json["first_failure"]["what"];
  const Outcome again = run_again(json["first_failure"]["command"].get<std::string>() + " --json");
  const auto repeated = nlohmann::json::parse(again.out);
  CHECK(repeated["schedules"] == 1);
  CHECK(repeated["first_failure"]["what"] == what);
  CHECK(repeated["first_failure"]["seed"] == json["first_failure"]["seed"]);
}

TEST_CASE("a mutation that is not found is the answer no", "[simulate]") {
  const Outcome outcome = run("simulate --mutation clear_next_buffer --calls 1 --seeds 2");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.out, "\nNOT caught: all 2 schedules passed"));
}

TEST_CASE("a failure without a mutation is the answer no", "[simulate]") {
  const Outcome outcome = run("simulate --seeds 1 --steps-budget 100");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.out, "Seed 1 failed: simulator: the run took more than 100 steps"));
  CHECK(contains(outcome.out, "\n1 of 1 schedule failed\n"));
  CHECK(run_again(line_after(outcome.out, "\nAgain: ")).code == 1);
}

TEST_CASE("an exhaustive search goes through every schedule", "[simulate]") {
  // Two ranks, two calls of one vector: one-shot, or one of each strategy.
  const std::string tiny = "simulate --exhaustive --world 2 --calls 2 --tokens 1 --hidden 8 --operation all_reduce ";
  const auto json = nlohmann::json::parse(run(tiny + "--strategy one_shot --json").out);
  CHECK(json["completed"] == true);
  CHECK(json["failures"] == 0);
  CHECK(json["schedules"] > 100);
  CHECK(json["interleavings"] > 50);
  CHECK(contains(run(tiny).out, "; there are no others\n"));

  const Outcome bounded = run(tiny + "--limit 5");
  CHECK(bounded.code == 0);
  CHECK(contains(bounded.out, "all 5 schedules passed"));
  CHECK(contains(bounded.out, "; there are more: the search was not completed, see --limit\n"));
}

TEST_CASE("a failure of an exhaustive search comes again by its choices", "[simulate]") {
  const auto json = nlohmann::json::parse(
      run("simulate --exhaustive --mutation input_not_sanitized --calls 2 --tokens 1 --limit 2 --json").out);
  REQUIRE(json["caught"] == true);
  const std::string command = json["first_failure"]["command"];
  CHECK(contains(command, " --replay "));
  const auto again = nlohmann::json::parse(run_again(command + " --json").out);
  CHECK(again["schedules"] == 1);
  CHECK(again["first_failure"]["what"] == json["first_failure"]["what"]);
}

TEST_CASE("simulate lists the mutations", "[simulate]") {
  const Outcome text = run("simulate --list");
  CHECK(text.code == 0);
  CHECK(contains(text.out, "\nclear_next_buffer "));
  const auto json = nlohmann::json::parse(run("simulate --list --json").out);
  CHECK(json.size() > 10);
  CHECK(json[0]["mutation"] == "clear_next_buffer");
  CHECK(json[0]["rule"] == "3");
}

TEST_CASE("simulate refuses what it cannot do", "[simulate]") {
  check_refused("simulate --world 73", "--world: \"73\" given, allowed: whole numbers from 1 to 72");
  check_refused("simulate --tokens 3,x", "--tokens: \"x\" given, allowed: whole numbers from 1 to 65536");
  check_refused("simulate --tokens ,", "--tokens: \"\" given");
  check_refused("simulate --hidden 9", "--hidden: 9 for call 0 given, allowed: multiples of 8");
  check_refused("simulate --quant none,fp9", "--quant: \"fp9\" given, allowed: none, fp8, nvfp4, dynamic_fp8");
  check_refused("simulate --quant nvfp4", "--hidden: 8 for call 2 given, allowed: multiples of 16");
  check_refused("simulate --quant fp8 --operation all_reduce", "--quant: fp8 for call 0, an all_reduce given");
  check_refused("simulate --strategy auto", "--strategy: \"auto\" given, allowed: one_shot, two_shot");
  check_refused("simulate --policy replay", "--policy: \"replay\" given, allowed: random, round_robin, starve");
  check_refused("simulate --starved-rank 1", "--starved-rank: with --policy random given");
  check_refused("simulate --policy starve --starved-rank 3", "--starved-rank: 3 given, allowed: 0 to 2");
  check_refused("simulate --stall rank=1", "--stall: at=POINT is missing");
  check_refused("simulate --stall at=store,for=1", "--stall: for given, allowed: rank, cta, thread, at");
  check_refused("simulate --mutation clear_next_bufer", "--mutation: \"clear_next_bufer\" given, allowed: ");
  check_refused("simulate --scenario nothing", "--scenario: \"nothing\" given, allowed: standard, ");
  check_refused("simulate --scenario partial_sum_published --world 2", "--world: 2 given, allowed: 3 or more");
  check_refused("simulate --seeds 0", "--seeds: \"0\" given");
  check_refused("simulate --exhaustive --seeds 5", "--seeds: with --exhaustive given");
  check_refused("simulate --limit 5", "--limit: alone given, allowed: with --exhaustive");
  check_refused("simulate --replay 1,,2", "--replay: \"\" given");
  check_refused("simulate --sceds 5", "--sceds: unknown argument; did you mean --seeds?");
}

#endif  // ALLNORM_COMMAND
