// `allnorm simulate`: a world on the simulator under many schedules, every output byte and status verified.
#include "simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <thread>

#include "allnorm/error.h"
#include "campaign.h"
#include "env/env.h"
#include "options.h"
#include "simulate_report.h"

namespace allnorm::tools {
namespace {

constexpr std::int64_t kMaxSeed = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMaxCount = 1'000'000'000;
constexpr std::int64_t kMaxTokens = 65536;
constexpr int kMaxCalls = 1024;
constexpr int kMaxMultiprocessors = 1024;
constexpr int kMaxJobs = 256;
constexpr std::uint64_t kSeeds = 1000;
constexpr std::array kPolicies = {sim::Policy::kRandom, sim::Policy::kRoundRobin, sim::Policy::kStarve};

/// "1,2,3", each element by `parse`.
template <typename Value>
void add_list(CLI::App& app, const std::string& flag, std::vector<Value>& values, Value (*parse)(const std::string&),
              const std::string& help) {
  const auto set = [&values, parse](const std::string& text) {
    values.clear();
    for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
      end = text.find(',', begin);
      values.push_back(parse(text.substr(begin, end == std::string::npos ? end : end - begin)));
    }
  };
  app.add_option_function<std::string>(flag, set, help)->type_name("LIST");
}

void add_shape(CLI::App& app, SimulateShape& shape) {
  add_integer(app, "--world", shape.world_size, 1, kMaxWorldSize, "Ranks");
  add_integer(app, "--calls", shape.calls, 1, kMaxCalls, "Calls, one after the other");
  add_list<std::int64_t>(
      app, "--tokens", shape.tokens,
      [](const std::string& text) { return parse_integer("--tokens", text, 1, kMaxTokens); },
      "Rows of each call, such as 3,1; call i takes element i modulo the length");
  add_list<int>(
      app, "--hidden", shape.hidden_dims,
      [](const std::string& text) { return static_cast<int>(parse_integer("--hidden", text, 1, kMaxHiddenDim)); },
      "Elements of a row of each call");
  add_list<DataType>(
      app, "--dtype", shape.dtypes, [](const std::string& text) { return parse_name("--dtype", text, kRowDataTypes); },
      "Elements of rows of each call: " + list_names(kRowDataTypes));
  add_list<Quant>(
      app, "--quant", shape.quants, [](const std::string& text) { return parse_name("--quant", text, kQuants); },
      "Quantization of each call: " + list_names(kQuants));
  add_list<Strategy>(
      app, "--strategy", shape.strategies,
      [](const std::string& text) { return parse_name("--strategy", text, kKernelStrategies); },
      "Strategy of each call: " + list_names(kKernelStrategies));
  add_list<Operation>(
      app, "--operation", shape.operations,
      [](const std::string& text) { return parse_name("--operation", text, kCallOperations); },
      "Operation of each call: " + list_names(kCallOperations));
  add_name(app, "--transport", shape.transport, kTransports, "How ranks store to each other");
  app.add_option_function<std::string>(
         "--pdl", [&shape](const std::string& text) { shape.pdl = parse_pdl_flag(text); },
         "Programmatic dependent launch: off, early, late")
      ->type_name("NAME");
  add_integer(app, "--ranks-per-gpu", shape.ranks_per_gpu, 1, kMaxVirtualRanks, "Ranks that share a simulated GPU");
  add_integer(app, "--multiprocessors", shape.multiprocessors, 1, kMaxMultiprocessors,
              "Of each simulated GPU; few make rows wait for each other");
}

void add_schedule(CLI::App& app, SimulateOptions& options) {
  sim::Schedule& schedule = options.schedule;
  add_integer(app, "--seeds", options.seeds, 1, kMaxCount,
              "Schedules, each from a seed of its own; default 1000, for round_robin 1");
  add_integer(app, "--first-seed", options.first_seed, 0, kMaxSeed, "Of the first schedule, default 1");
  add_name(app, "--policy", schedule.policy, kPolicies, "How schedules are made, default random");
  add_integer(app, "--starved-rank", schedule.starved_rank, 0, kMaxWorldSize - 1,
              "With --policy starve: goes on only when nothing else can, default 0");
  app.add_option_function<std::vector<std::string>>(
         "--stall",
         [&schedule](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             try {
               schedule.stalls.push_back(sim::parse_stall(text));
             } catch (const Error& error) {
               throw UsageError(fmt::format("--{}", error.what()));
             }
           }
         },
         "Hold threads at a point, such as rank=1,at=store,steps=1000; may be given several times")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  add_integer(app, "--steps-budget", schedule.step_budget, 1, kMaxSeed,
              "A schedule that takes more steps has failed, default 20000000");
  app.add_flag_callback(
      "--no-stale-loads", [&schedule] { schedule.stale_loads = false; }, "Loads never give what was overwritten");
  app.add_flag("--exhaustive", options.exhaustive,
               "Every order of warps and of arriving vectors there is, by depth-first search; only the smallest end");
  add_integer(app, "--limit", options.limit, 1, kMaxCount, "The most schedules of --exhaustive, default 100000");
  add_list<std::uint32_t>(
      app, "--replay", schedule.replay,
      [](const std::string& text) {
        return static_cast<std::uint32_t>(
            parse_integer("--replay", text, 0, std::numeric_limits<std::uint32_t>::max()));
      },
      "The one schedule with these choices, which --exhaustive printed");
}

/// What repeats a run, but for its seed: all that was given, less what does not decide it.
std::string command_of(const CLI::App& app) {
  const std::vector<std::string> left_out = {"seeds", "first-seed", "jobs", "json", "exhaustive", "limit", "replay"};
  std::string command = "allnorm simulate";
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0) continue;
    const std::string& name = option->get_lnames().front();
    if (std::find(left_out.begin(), left_out.end(), name) != left_out.end()) continue;
    const bool is_flag = option->get_items_expected_max() == 0;
    for (const std::string& text : option->results()) {
      command += " --" + name;
      if (!is_flag) command.append(" ").append(text);
    }
  }
  return command;
}

void check(const CLI::App& app, const SimulateOptions& options) {
  const auto given = [&](const char* flag) { return app.count(flag) > 0; };
  if (given("--starved-rank") && options.schedule.policy != sim::Policy::kStarve) {
    refuse("--starved-rank", fmt::format("with --policy {}", to_string(options.schedule.policy)),
           "with --policy starve");
  }
  const bool fixed = options.exhaustive || given("--replay");
  for (const char* flag : {"--seeds", "--first-seed", "--policy"}) {
    if (fixed && given(flag)) {
      refuse(flag, options.exhaustive ? "with --exhaustive" : "with --replay", "without it: its choices are no seed's");
    }
  }
  if (options.exhaustive && given("--replay")) refuse("--replay", "with --exhaustive", "one of the two");
  if (given("--limit") && !options.exhaustive) refuse("--limit", "alone", "with --exhaustive");
}

Campaign make_campaign(const SimulateOptions& options) {
  Campaign campaign;
  campaign.scenario = make_scenario(options);
  if (options.schedule.policy == sim::Policy::kStarve &&
      options.schedule.starved_rank >= campaign.scenario.world_size) {
    refuse("--starved-rank", fmt::format("{}", options.schedule.starved_rank),
           fmt::format("0 to {}", campaign.scenario.world_size - 1));
  }
  const sim_tests::Mutation* const mutation = find_mutation(options);
  if (mutation != nullptr) campaign.simulation.mutation = mutation->replacements;
  const Env env = Env::from_process();
  // Nobody calls the mutated kernels again.
  const bool is_kept = Env::why_not_kept(env.cache).empty();
  if (is_kept && campaign.simulation.mutation.empty()) campaign.simulation.cache_directory = env.cache.directory;
  campaign.schedule = options.schedule;
  campaign.first_seed = options.first_seed;
  const bool is_random =
      options.schedule.policy == sim::Policy::kRandom || options.schedule.policy == sim::Policy::kStarve;
  campaign.count = options.exhaustive ? options.limit : options.seeds.value_or(is_random ? kSeeds : 1);
  campaign.jobs = options.jobs;
  return campaign;
}

int run(SimulateOptions& options) {
  if (options.list) return list_mutations(options.json);
  if (options.jobs == 0) options.jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (options.mutation_table || options.mutation == "all") return print_mutation_table(options);
  const Campaign campaign = make_campaign(options);
  if (!options.json) {
    fmt::print("{}\n\n", describe_campaign(options, campaign));
    std::fflush(stdout);
  }
  try {
    const CampaignResult result = options.exhaustive ? run_exhaustively(campaign) : run_seeds(campaign);
    return report_campaign(options, campaign, result);
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

}  // namespace

Run add_simulate(CLI::App& app) {
  const auto options = std::make_shared<SimulateOptions>();
  options->schedule.step_budget = 20'000'000;
  app.add_option("--scenario", options->scenario,
                 "What runs: standard (3 ranks, 8 calls; the default), or a mutation's scenario without the fault")
      ->type_name("NAME");
  app.add_option("--mutation", options->mutation,
                 "A fault that breaks a rule of the protocol, which must be found, in its own scenario; all: as "
                 "--mutation-table")
      ->type_name("NAME");
  add_shape(app, options->shape);
  add_schedule(app, *options);
  add_integer(app, "--jobs", options->jobs, 1, kMaxJobs, "Threads, default one for each core");
  app.add_flag("--list", options->list, "List the mutations, and run nothing");
  app.add_flag("--mutation-table", options->mutation_table,
               "Run every mutation up to the first seed that finds it, and print a table as Markdown");
  app.add_flag("--json", options->json, "Print JSON");
  add_notes(app,
            "Runs the kernels of a whole world on simulated GPUs under many schedules, and verifies every output byte\n"
            "and every rank's status after each. A schedule decides who runs when, and when stores arrive; it follows\n"
            "from its seed, so that any run can be repeated. Options of the shape change the scenario's calls.\n\n"
            "Exit codes: 0 none failed, or with --mutation the fault was found; 1 a schedule failed, or the fault was\n"
            "not found; 2 wrong options; 3 something is missing or broken: `allnorm doctor` says what.\n\n"
            "Examples:\n"
            "  allnorm simulate                                   the standard scenario, 1000 seeds\n"
            "  allnorm simulate --seeds 100000\n"
            "  allnorm simulate --world 4 --tokens 3,1,2 --hidden 64 --quant nvfp4 --calls 6\n"
            "  allnorm simulate --policy starve --starved-rank 1 --transport multicast\n"
            "  allnorm simulate --stall rank=1,at=barrier_cta,occurrence=2,steps=5000\n"
            "  allnorm simulate --exhaustive --world 2 --calls 2 --tokens 1 --hidden 8 --operation all_reduce\n"
            "  allnorm simulate --mutation clear_next_buffer      a fault that must be found\n"
            "  allnorm simulate --list");
  return [options, &app] {
    check(app, *options);
    if (app.count("--replay") > 0) {
      options->schedule.policy = sim::Policy::kReplay;
      options->schedule.split_vectors = false;
    }
    options->command = command_of(app);
    return run(*options);
  };
}

}  // namespace allnorm::tools
