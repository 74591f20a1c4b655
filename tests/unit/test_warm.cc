// `allnorm warm`: which kernels it is asked for, by flags, tables and files. What it then does: test_warm_run.cc.
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "catch.h"
#include "command.h"
#include "dispatch/auto_specs.h"
#include "dispatch/geometry.h"
#include "dispatch/json_field.h"
#include "dispatch/names.h"
#include "dispatch/spec_text.h"
#include "jit/spec_recorder.h"
#include "table_text.h"

#ifdef ALLNORM_COMMAND

using namespace allnorm;
using namespace allnorm::command_test;
using allnorm::testing::kTableText;
using allnorm::testing::table_with;

namespace {

struct Listed {
  std::set<Spec> specs;
  std::size_t dropped = 0;
  std::string first_dropped;
};

Listed listed(const std::string& arguments) {
  INFO(arguments);
  const Outcome outcome = run("warm --dry-run --json " + arguments);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  Listed listed{{}, json["dropped"], json["first_dropped"]};
  for (const auto& spec : json["specs"]) {
    const JsonNode tree = parse_json(spec.dump(), "out");
    CHECK(listed.specs.insert(parse_spec(JsonField(tree, "out"))).second);
  }
  return listed;
}

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

/// A Spec that calls can have.
class RandomSpecs {
 public:
  Spec next() {
    Spec spec;
    spec.target = of(kTargets);
    spec.operation = of(kCallOperations);
    spec.strategy = of(kKernelStrategies);
    spec.transport = of(kTransports);
    spec.dtype = spec.gamma_dtype = of(kRowDataTypes);
    spec.pdl = of(kPdls);
    spec.world_size = static_cast<std::uint8_t>(1 + below(kMaxWorldSize));
    spec.hidden_dim = 16 * (1 + below(kMaxHiddenDim / 16));
    const auto geometries = all_geometries(spec.hidden_dim, spec.dtype);
    spec.geometry = geometries[static_cast<std::size_t>(below(static_cast<int>(geometries.size())))];
    spec.has_residual_out = spec.operation == Operation::kFused && below(2) == 0;
    if (spec.operation == Operation::kAllReduce) return spec;
    if (below(2) == 0) spec.gamma_dtype = DataType::kF32;
    spec.quant = of(kQuants);
    spec.has_output = below(2) == 0;
    if (spec.quant != Quant::kNvfp4 || below(2) == 0) return spec;
    spec.layout = ScaleLayout::kSwizzled128x4;
    spec.zero_scale_padding = below(2) == 0;
    return spec;
  }

 private:
  int below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random_); }
  template <typename Enum, std::size_t kCount>
  Enum of(const std::array<Enum, kCount>& values) {
    return values[static_cast<std::size_t>(below(kCount))];
  }
  std::mt19937 random_{7};
};

}  // namespace

TEST_CASE("the command that a message names makes that kernel and no other", "[warm]") {
  RandomSpecs random;
  for (int i = 0; i < 40; i++) {
    const Spec spec = random.next();
    const std::string command = warm_command(spec);
    INFO(command);
    REQUIRE(command.starts_with("allnorm warm "));
    CHECK(listed(command.substr(13)).specs == std::set<Spec>{spec});
  }
}

TEST_CASE("the kernels of checked mode are one for each world and GPU, whatever else is asked for", "[warm]") {
  const auto listing = listed("--operation compare_calls,fused --world 2,3 --arch sm_90a,sm_100a --quant none,fp8");
  std::set<Spec> comparing;
  for (const Spec& spec : listing.specs) {
    if (spec.operation == Operation::kCompareCalls) comparing.insert(spec);
  }
  CHECK(comparing == std::set<Spec>{helper_spec(Operation::kCompareCalls, Target::kSm90a, 2),
                                    helper_spec(Operation::kCompareCalls, Target::kSm90a, 3),
                                    helper_spec(Operation::kCompareCalls, Target::kSm100a, 2),
                                    helper_spec(Operation::kCompareCalls, Target::kSm100a, 3)});
  CHECK(comparing.size() < listing.specs.size());
  const std::string command = warm_command(helper_spec(Operation::kCompareCalls, Target::kSm90a, 2));
  CHECK(listed(command.substr(13)).specs == std::set<Spec>{helper_spec(Operation::kCompareCalls, Target::kSm90a, 2)});
}

TEST_CASE("lists and ranges are all combinations", "[warm]") {
  const auto listing = listed(
      "--arch sm_90a,sm_100a --world 2-8:3,4 --hidden 1024,2048 --quant none,fp8 --strategy one_shot --geometry 1x8x1 "
      "--pdl off,late --world 4,3");
  std::set<int> worlds;
  for (const Spec& spec : listing.specs) worlds.insert(spec.world_size);
  CHECK(worlds == std::set<int>{2, 3, 4, 5, 8});
  CHECK(listing.specs.size() == std::size_t{2 * 5 * 2 * 2 * 2});
  CHECK(listing.dropped == 0);
}

TEST_CASE("by default it is all that AUTO can choose, without and with an early trigger", "[warm]") {
  Spec kind;
  kind.hidden_dim = 7168;
  kind.world_size = 2;
  std::set<Spec> expected;
  for (const Pdl pdl : {Pdl::kOff, Pdl::kEarlyTrigger}) {
    kind.pdl = pdl;
    for (const Spec& spec : auto_specs(kind, std::nullopt, {})) expected.insert(spec);
  }
  CHECK(listed("").specs == expected);
  CHECK(listed("--strategy auto,one_shot,two_shot").specs == expected);
  CHECK(listed("--max-tokens-one-shot 8 --max-tokens-two-shot 0 --pdl off").specs.size() == 1);
  CHECK(listed("--max-tokens 8 --pdl off --strategy two_shot").specs.size() == 1);
  CHECK(listed("--multiprocessors 1 --pdl off --strategy two_shot --max-tokens 1").specs.begin()->geometry ==
        default_geometry(7168, DataType::kBF16, 1, 2, 1));
}

TEST_CASE("combinations without a kernel are dropped and counted", "[warm]") {
  const auto listing = listed(
      "--hidden 1016,1024 --quant none,nvfp4 --operation fused,all_reduce --pdl off --strategy one_shot --geometry "
      "1x8x1,1x1x1");
  // Of 8 kinds: 1016 with nvfp4, and all-reduces that quantize; then each with the geometry that is too small.
  CHECK(listing.specs.size() == 5);
  CHECK(listing.dropped == 3 + 5);
  CHECK(contains(listing.first_dropped, "--geometry: 1 ctas_per_row x 1 warps_per_cta"));
  CHECK(
      contains(run("warm --dry-run --hidden 1016,1024 --quant nvfp4 --pdl off").out,
               "1 combinations dropped, without a kernel; the first: --hidden: 1016 given, allowed: multiples of 16"));
}

TEST_CASE("what calls have no choice of does not multiply the kernels", "[warm]") {
  const auto plain =
      listed("--operation all_reduce --gamma-dtype f32,bf16 --strategy one_shot --pdl off --geometry 1x28x1");
  REQUIRE(plain.specs.size() == 1);
  CHECK_FALSE(plain.specs.begin()->has_residual_out);
  CHECK(plain.specs.begin()->gamma_dtype == DataType::kBF16);
  const auto layouts = listed(
      "--quant fp8,nvfp4 --layout linear,swizzled_128x4 --zero-scale-padding --strategy one_shot --pdl off --geometry "
      "1x28x1 --no-output --no-residual-out");
  CHECK(layouts.specs.size() == 3);
  for (const Spec& spec : layouts.specs) {
    CHECK(spec.zero_scale_padding == (spec.layout == ScaleLayout::kSwizzled128x4));
    CHECK_FALSE(spec.has_output);
    CHECK_FALSE(spec.has_residual_out);
  }
}

TEST_CASE("a table gives all that can be chosen with each of its entries", "[warm]") {
  const Folder folder;
  write(folder / "table.json", kTableText);
  std::set<Spec> expected;
  const Table table = Table::parse(kTableText, "t");
  for (const Target target : {Target::kSm90a, Target::kSm100a}) {
    Spec kind;
    kind.target = target;
    kind.world_size = 2;
    kind.hidden_dim = 7168;
    kind.quant = Quant::kFp8;
    for (const Spec& spec : auto_specs(kind, table, {})) expected.insert(spec);
    kind.dtype = kind.gamma_dtype = DataType::kF32;
    kind.hidden_dim = 4;
    kind.quant = Quant::kNone;
    kind.operation = Operation::kAllReduce;
    kind.transport = Transport::kMulticast;
    kind.has_residual_out = false;
    for (const Spec& spec : auto_specs(kind, table, {})) expected.insert(spec);
  }
  CHECK(listed("--pdl off --arch sm_90a,sm_100a --table " + (folder / "table.json")).specs == expected);
}

TEST_CASE("kernels that programs recorded are taken once each, for other targets too", "[warm]") {
  const Folder folder;
  const std::string file = folder / "specs";
  RandomSpecs random;
  std::set<Spec> specs;
  // As two processes do it.
  SpecRecorder one(file, cache::FileSystem::real());
  SpecRecorder other(file, cache::FileSystem::real());
  for (int i = 0; i < 20; i++) {
    const Spec spec = random.next();
    specs.insert(spec);
    one.record(spec);
    other.record(spec);
  }
  CHECK(listed("--manifest " + file).specs == specs);
  std::set<Spec> others;
  for (Spec spec : specs) {
    for (const Target target : {Target::kSm103a, Target::kHost}) {
      spec.target = target;
      others.insert(spec);
    }
  }
  CHECK(listed("--arch sm_103a,host --manifest " + file).specs == others);
}

TEST_CASE("what is wrong with a file is said with its line", "[warm]") {
  const Folder folder;
  const std::string file = folder / "file";
  const std::string good = to_json(Spec{.world_size = 2, .geometry = {1, 28, 1}, .hidden_dim = 7168});
  const auto with = [&](const std::string& from, const std::string& to) {
    return std::string(good).replace(good.find(from), from.size(), to);
  };
  const auto refused = [&](const std::string& flag, const std::string& text, const std::string& message) {
    write(file, text);
    check_refused("warm --dry-run --" + flag + " " + file, "--" + flag + ": " + message);
  };
  CHECK(listed("--manifest " + [&] { return write(file, good + "\n\n" + good), file; }()).specs.size() == 1);
  refused("manifest", good + "\n" + with("\"fused\"", "\"fusde\""), file + ":2: [1].operation: \"fusde\" given");
  refused("manifest", good + "\n\n" + with("7168", "7161"), file + ":3: hidden_dim: 7161 given");
  refused("manifest", good + "\n{\n", file + ":3: not JSON");
  refused("manifest", good + "\n" + with("\"pdl\"", "\"ldp\""), file + ":2: [1].ldp: unknown field");
  refused("manifest", "", "no kernels in " + file);
  refused("manifest", R"({"format": "allnorm manifest", "schema": 2, "library": "", "entries": []})",
          file + ": another schema: 2");
  refused("table", table_with("\"two_shot\", \"microseconds\": 14", "\"shot\", \"microseconds\": 14"),
          file + ":12: entries[0].bounds[1].strategy: \"shot\" given");
  refused("table", R"({"schema": 1})", file + ":1: ");
  check_refused("warm --manifest /nonexistent/specs",
                "--manifest: \"/nonexistent/specs\" cannot be read: No such file");
  check_refused("warm --table /nonexistent/table", "--table: \"/nonexistent/table\" cannot be read: No such file");
}

TEST_CASE("wrong flags of warm are refused", "[warm]") {
  const std::string numbers = "given, allowed: whole numbers from 1 to 72, and ranges of them such as 1-72 or 1-72:2";
  check_refused("warm --world 2,73", "--world: \"73\" " + numbers);
  for (const char* text : {"0", "x", "2x", "2-", "2-8:", "2-8:0", "2-8:x", "2-8-9", "-2", "2-73", "2:2"}) {
    check_refused("warm --world=" + std::string(text), "--world: \"" + std::string(text) + "\" " + numbers);
  }
  check_refused("warm --world 8-2", "--world: \"8-2\" given, allowed: the smaller number first: 2-8");
  check_refused("warm --world 2,,4", "--world: \"2,,4\" given, allowed: values with a comma between two of them");
  check_refused("warm --quant fp8,", "--quant: \"fp8,\" given");
  check_refused("warm --quant fp8,fp9", "--quant: \"fp9\" given, allowed: none, fp8, nvfp4, dynamic_fp8");
  check_refused("warm --arch sm_80", "--arch: \"sm_80\" given, allowed: sm_90a,");
  check_refused("warm --strategy best", "--strategy: \"best\" given, allowed: one_shot, two_shot, auto");
  check_refused("warm --pdl off,on", "--pdl: \"on\" given, allowed: off, early, late");
  check_refused("warm --geometry 1x28x1,4x7", "--geometry: \"4x7\" given");
  check_refused("warm --hidden 7161", "--hidden: 7161 given, allowed: multiples of 8");
  check_refused("warm --operation all_reduce --no-output", "--no-output: with --operation all_reduce given");
  check_refused("warm --quant fp8 --zero-scale-padding",
                "--zero-scale-padding: without nvfp4 and swizzled_128x4 given");
  check_refused("warm --max-tokens-one-shot 0", "--max-tokens-one-shot: 0 for both strategies given");
  check_refused("warm --hidden 8-65536:8 --world 1-72", "the flags together give more than 20000 combinations");
  check_refused("warm --table a --manifest b", "--table: given with --manifest, allowed: one of the two");
  check_refused("warm --table a --world 2", "--world: given with --table, which says that itself");
  check_refused("warm --manifest a --pdl off", "--pdl: given with --manifest, which says that itself");
  check_refused("warm --check --dry-run", "--check: given with --dry-run");
  check_refused("warm --workers 0", "--workers: \"0\" given");
  check_refused("warm --output /proc/none", "--output: cannot make /proc/none");
  check_refused("warm --worker 2", "--worker: unknown argument; did you mean --workers?");
  check_refused("warm-worke", "warm-worke: unknown command\n");
  CHECK(run("warm", "ALLNORM_CACHE=off").code == 2);
  CHECK(run("warm", "-u HOME -u XDG_CACHE_HOME -u ALLNORM_CACHE_DIR").code == 2);
}

#endif  // ALLNORM_COMMAND
