// The `allnorm` command as a user meets it: what it prints and how it exits, without a GPU.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "allnorm/version.h"
#include "catch.h"
#include "command.h"

#ifdef ALLNORM_COMMAND

using namespace allnorm::command_test;

TEST_CASE("help says what there is, how it exits, and gives examples", "[command]") {
  for (const char* arguments : {"--help", "bench --help", "compile --help", "demo --help", "doctor --help",
                                "simulate --help", "warm --help", "compile -h"}) {
    INFO(arguments);
    const Outcome outcome = run(arguments);
    CHECK(outcome.code == 0);
    CHECK(outcome.err.empty());
    CHECK(contains(outcome.out, "Usage: allnorm"));
    CHECK(contains(outcome.out, "Exit codes:"));
    CHECK(contains(outcome.out, "Examples:\n  allnorm"));
  }
  const std::string top = run("--help").out;
  for (const char* command : {"bench", "compile", "demo", "doctor", "simulate", "warm"}) CHECK(contains(top, command));
  CHECK_FALSE(contains(top, "warm-worker"));
  CHECK(run("").out == top);
}

TEST_CASE("the version is printed", "[command]") {
  const Outcome outcome = run("--version");
  CHECK(outcome.code == 0);
  CHECK(outcome.out == "allnorm " ALLNORM_VERSION_STRING "\n");
}

TEST_CASE("wrong arguments are refused: the flag, what was given, what is allowed", "[command]") {
  check_refused("compil", "compil: unknown command; did you mean compile?");
  check_refused("xyzzy", "xyzzy: unknown command\n");
  check_refused("--versoin", "--versoin: unknown argument; did you mean --version?");
  check_refused("compile --quantt fp8", "--quantt: unknown argument; did you mean --quant?");
  check_refused("compile --quant", "--quant: a value is missing");
  check_refused("compile --quant fp9", "--quant: \"fp9\" given, allowed: none, fp8, nvfp4, dynamic_fp8");
  check_refused("compile --target sm_80",
                "--target: \"sm_80\" given, allowed: sm_90a, sm_100a, sm_103a, sm_120a, host");
  check_refused("compile --strategy auto", "--strategy: \"auto\" given, allowed: one_shot, two_shot");
  check_refused("compile --world 73", "--world: \"73\" given, allowed: whole numbers from 1 to 72");
  check_refused("compile --world 2x", "--world: \"2x\" given");
  check_refused("compile --hidden 7161", "--hidden: 7161 given, allowed: multiples of 8");
  check_refused("compile --dtype f32 --gamma-dtype bf16", "--gamma-dtype: bf16 given, allowed: f32");
  check_refused("compile --quant nvfp4 --layout swizzled_8x4", "--layout: swizzled_8x4 is not supported");
  check_refused("compile --quant fp8 --layout swizzled_128x4", "--layout: swizzled_128x4 with quant fp8 given");
  check_refused("compile --operation all_reduce --quant fp8", "--quant: fp8 with operation all_reduce given");
  check_refused("compile --operation all_reduce --no-output", "--no-output: with --operation all_reduce given");
  check_refused("compile --zero-scale-padding", "--zero-scale-padding: with quant none and layout linear given");
  check_refused("compile --pdl on", "--pdl: \"on\" given, allowed: off, early, late");
  check_refused("compile --geometry 4x7", "--geometry: \"4x7\" given");
  check_refused("compile --geometry 3x7x2", "--geometry.ctas_per_row: 3 given, allowed: 1, 2, 4 or 8");
  check_refused("compile --geometry 1x1x1", "--geometry: 1 ctas_per_row");
  check_refused("demo --ranks 9", "--ranks: \"9\" given, allowed: whole numbers from 1 to 8");
  check_refused("demo --hidden 8", "--hidden: 8 given, allowed: multiples of 16 (a block of nvfp4)");
  check_refused("demo --tokens 0", "--tokens: \"0\" given");
  check_refused("demo --device gpu", "--device: \"gpu\" given, allowed: auto, cuda, sim");
  check_refused("demo --compile-only --device sim", "--compile-only: with --device sim given");
  check_refused("demo extra", "extra: unknown argument");
  check_refused("doctor --jsn", "--jsn: unknown argument; did you mean --json?");
}

TEST_CASE("compile writes a cubin for every target", "[command]") {
  const Folder folder;
  for (const char* target : {"sm_90a", "sm_100a", "sm_103a", "sm_120a"}) {
    INFO(target);
    const std::string file = folder / target;
    const Outcome outcome =
        run("compile --hidden 1024 --quant nvfp4 --json --target " + std::string(target) + " -o " + file);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const auto json = nlohmann::json::parse(outcome.out);
    CHECK(contains(json["spec"], std::string("target=") + target + " "));
    CHECK(json["bytes"] == fs::file_size(file));
    CHECK(json["milliseconds"] > 0);
    CHECK(json["registers"] > 8);
    CHECK(json["registers"] <= 255);
    CHECK(json["stack_bytes"] == 0);
    CHECK(read_file(file).substr(0, 4) == "\177ELF");
  }
}

TEST_CASE("compile writes a shared object for host", "[command]") {
  const Folder folder;
  const std::string file = folder / "kernel.so";
  const Outcome outcome = run("compile --hidden 1024 --quant nvfp4 --json --target host -o " + file);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(contains(json["spec"], "target=host "));
  CHECK(json["bytes"] == fs::file_size(file));
  CHECK(json["milliseconds"] > 0);
  CHECK(json["compiler"].get<std::string>().size() > 10);
  for (const char* absent : {"nvrtc", "registers", "stack_bytes"}) CHECK_FALSE(json.contains(absent));
  CHECK(contains(read_file(file), "allnorm_host_ops_version"));

  const Outcome text = run("compile --hidden 1024 --target host");
  CHECK(text.code == 0);
  CHECK(contains(text.out, "allnorm_one_shot for host"));
  CHECK(contains(text.out, "ms by " + json["compiler"].get<std::string>()));
  CHECK_FALSE(contains(text.out, "registers"));
}

TEST_CASE("compile for host needs a C++ compiler and no NVRTC", "[command]") {
  CHECK(run("compile --hidden 512 --target host", "ALLNORM_NVRTC=/nonexistent/libnvrtc.so").code == 0);
  const Outcome missing = run("compile --target host", "ALLNORM_CXX=/nonexistent/c++");
  CHECK(missing.code == 3);
  CHECK(contains(missing.err, "allnorm: ALLNORM_CXX=/nonexistent/c++ is not a program; install g++ or clang++"));
}

TEST_CASE("compile covers every choice of a Spec", "[command]") {
  for (const char* arguments :
       {"--operation all_reduce --dtype f16", "--strategy two_shot --quant fp8 --no-output --no-residual-out",
        "--dtype bf16 --gamma-dtype f32 --quant dynamic_fp8 --pdl early", "--transport multicast --pdl late --world 8",
        "--quant nvfp4 --layout swizzled_128x4 --zero-scale-padding --geometry 1x2x1"}) {
    INFO(arguments);
    const Outcome outcome = run("compile --hidden 512 " + std::string(arguments));
    INFO(outcome.err);
    CHECK(outcome.code == 0);
    CHECK(contains(outcome.out, "registers "));
    CHECK(contains(outcome.out, "nowhere: -o FILE keeps it"));
  }
}

TEST_CASE("compile prints the source", "[command]") {
  const Outcome text = run("compile --hidden 4096 --source");
  CHECK(text.code == 0);
  CHECK(contains(text.out, "kHiddenDim = 4096"));
  const auto json = nlohmann::json::parse(run("compile --hidden 4096 --source --json").out);
  CHECK(json["source"] == text.out);
  CHECK(json["options"][0] == "--gpu-architecture=sm_90a");
}

TEST_CASE("compile says what is missing", "[command]") {
  const Outcome no_compiler = run("compile", "ALLNORM_NVRTC=/nonexistent/libnvrtc.so");
  CHECK(no_compiler.code == 3);
  CHECK(contains(no_compiler.err, "allnorm: NVRTC could not be loaded from ALLNORM_NVRTC"));
  const Outcome no_folder = run("compile --hidden 512 -o /nonexistent/kernel.cubin");
  CHECK(no_folder.code == 2);
  CHECK(contains(no_folder.err, "allnorm: --out: \"/nonexistent/kernel.cubin\" cannot be written"));
  const Outcome bad_variable = run("compile", "ALLNORM_CACHE=maybe");
  CHECK(bad_variable.code == 3);
  CHECK(contains(bad_variable.err,
                 "allnorm: ALLNORM_CACHE=\"maybe\" is not allowed: it must be normal, read-only, require-hit or off"));
}

TEST_CASE("doctor without a driver finds the rest and fails in words", "[command]") {
  const Outcome outcome = run("doctor", "-u HOME");
  CHECK(outcome.code == 1);
  CHECK(outcome.err.empty());
  CHECK(contains(outcome.out, "fail  driver: "));
  CHECK(contains(outcome.out, "ALLNORM_DRIVER"));
  CHECK(contains(outcome.out, "compiles for sm_90a, sm_100a, sm_103a, sm_120a"));
  CHECK(contains(outcome.out, "\nA fused call cannot run on a GPU here: see the lines that fail (driver).\n"));
  CHECK(contains(outcome.out, "\nWithout a GPU, calls run on the simulator (slow: "));
  CHECK(contains(outcome.out, "and so will `allnorm demo`.\n"));
}

TEST_CASE("doctor finds the C++ compiler, and no GPU misses it", "[command]") {
  CHECK(contains(run("doctor").out, "ok    C++ compiler: /"));
  CHECK(contains(run("doctor --json").out, ", compiles for host (the simulator)\""));
  const Outcome missing = run("doctor", "PATH=/nonexistent");
  CHECK(contains(missing.out, "info  C++ compiler: a kernel for the simulator must be compiled"));
  CHECK(contains(missing.out, "see the lines that fail (driver)."));
  CHECK(contains(missing.out, "`allnorm demo` with its default options does without one.\n"));
  CHECK(
      contains(run("doctor", "ALLNORM_DEVICE=cuda").out, "\nALLNORM_DEVICE=cuda makes a call without a GPU an error"));
  CHECK(contains(run("doctor", "ALLNORM_CXX=/bin/true").out,
                 "warn  C++ compiler: /bin/true -dumpmachine does not say what it is"));
}

TEST_CASE("doctor as JSON, with nothing of what it looks for", "[command]") {
  const Outcome outcome = run("doctor --json",
                              "-u HOME -u ALLNORM_CACHE_DIR -u XDG_CACHE_HOME ALLNORM_NVRTC=/nonexistent/libnvrtc.so "
                              "ALLNORM_TABLE=/nonexistent/table.json ALLNORM_LOG=loud ALLNORM_CACH=off");
  CHECK(outcome.code == 1);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["can_run"] == false);
  const auto find = [&](const std::string& status, const std::string& topic, const std::string& found) {
    for (const auto& f : json["findings"]) {
      if (f["status"] == status && f["topic"] == topic && contains(f["found"], found))
        return f["advice"].get<std::string>();
    }
    return std::string("not found");
  };
  CHECK(find("fail", "driver", "/nonexistent/libcuda.so.1") != "not found");
  CHECK(find("fail", "NVRTC", "/nonexistent/libnvrtc.so") != "not found");
  CHECK(find("fail", "tuned table", "/nonexistent/table.json") != "not found");
  CHECK(find("fail", "environment", "ALLNORM_LOG=\"loud\" is not allowed") != "not found");
  CHECK(find("warn", "environment", "ALLNORM_CACH is set") == "did you mean ALLNORM_CACHE?");
  CHECK(find("info", "cache", "off: none of ALLNORM_CACHE_DIR") != "not found");
  CHECK(find("info", "environment", "ALLNORM_DRIVER=/nonexistent/libcuda.so.1").empty());
}

TEST_CASE("doctor looks at the cache folder", "[command]") {
  const Folder folder;
  const std::string cache = folder / "kernels";
  const auto doctor = [&] { return run("doctor", "ALLNORM_CACHE_DIR=" + cache).out; };
  CHECK(contains(doctor(), "ok    cache: " + cache + " does not exist yet"));
  CHECK(run("compile --hidden 512", "ALLNORM_CACHE_DIR=" + cache).code == 0);
  CHECK_FALSE(fs::exists(cache));  // `compile` leaves the cache alone
  CHECK(run("demo --hidden 512 --ranks 1 --compile-only", "ALLNORM_CACHE_DIR=" + cache).code == 0);
  CHECK(contains(doctor(), "16 kernels"));
  fs::permissions(cache, fs::perms::all);
  CHECK(contains(doctor(), "warn  cache: "));
}

TEST_CASE("demo --compile-only compiles the kernels for GPUs and runs none", "[command]") {
  const Folder folder;
  const std::string environment = "ALLNORM_CACHE_DIR=" + (folder / "cache");
  const Outcome outcome = run("demo --compile-only --hidden 512", environment);
  CHECK(outcome.code == 0);
  CHECK(outcome.out.starts_with("Runs on nothing: --compile-only was given.\n"));
  CHECK(contains(outcome.out, "dynamic_fp8  two_shot"));
  CHECK(contains(outcome.out, "\n32 kernels compiled, 8 for each of 4 architectures; none was run\n"));

  const auto json = nlohmann::json::parse(run("demo --compile-only --hidden 512 --json", environment).out);
  CHECK(json["ran"] == false);
  REQUIRE(json["compiled"].size() == 32);
  for (const auto& kernel : json["compiled"]) CHECK(kernel["from_cache"] == true);

  const Outcome missing = run("demo --compile-only --json", "ALLNORM_NVRTC=/nonexistent/libnvrtc.so");
  CHECK(missing.code == 3);
  CHECK(missing.out.empty());
  CHECK(contains(missing.err, "allnorm: NVRTC could not be loaded"));
}

TEST_CASE("demo without a GPU runs on the simulator, verified", "[command]") {
  const Outcome outcome = run("demo --hidden 256 --tokens 2");
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(
      outcome.out.starts_with("Runs on the simulator: 2 simulated GPUs, because the CUDA driver could not be loaded"));
  CHECK(contains(outcome.out, "simulated in  verified\n"));
  CHECK(contains(outcome.out, "\ndynamic_fp8  two_shot       2 "));
  CHECK(contains(outcome.out, "\nall 40 outputs verified to the bit\n"));
  CHECK_FALSE(contains(outcome.out, "us a call"));

  // Virtual ranks, which share a simulated GPU.
  const auto json = nlohmann::json::parse(run("demo --hidden 256 --tokens 2 --json", "ALLNORM_DEVICE=sim:1").out);
  CHECK(json["ran"] == true);
  CHECK(json["device"] == "sim");
  CHECK(json["gpus"] == std::vector<int>{0, 0});
  CHECK(contains(json["runs_on"], "1 simulated GPU, because ALLNORM_DEVICE asks for it"));
  REQUIRE(json["calls"].size() == 8);
  for (const auto& call : json["calls"]) {
    CHECK(call["verified"] == true);
    CHECK(call["simulated_seconds"] > 0);
    CHECK_FALSE(call.contains("microseconds"));
  }
}

TEST_CASE("demo on GPUs where there are none is an error", "[command]") {
  const Outcome outcome = run("demo --device cuda");
  CHECK(outcome.code == 3);
  CHECK(outcome.out.empty());
  CHECK(contains(outcome.err, "allnorm: --device cuda: the CUDA driver could not be loaded"));
  CHECK(contains(outcome.err, "or run the demo on the simulator with --device sim"));
  CHECK(contains(run("demo", "ALLNORM_DEVICE=cuda").err, "allnorm: ALLNORM_DEVICE=cuda: the CUDA driver"));
  CHECK(run("demo --device sim --hidden 256 --tokens 1 --ranks 1", "ALLNORM_DEVICE=cuda").code == 0);
}

TEST_CASE("the demo's own kernels need no compiler, others say what to install", "[command]") {
  const std::string nothing = "PATH=/nonexistent ALLNORM_CACHE=off ALLNORM_NVRTC=/nonexistent/libnvrtc.so";
  const Outcome outcome = run("demo --tokens 2", nothing);
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "\nall 40 outputs verified to the bit\n"));

  const Outcome other = run("demo --hidden 512", nothing);
  CHECK(other.code == 3);
  CHECK(contains(other.err, "no C++ compiler was found (tried c++, g++, clang++ on PATH); install g++ or clang++"));
}

TEST_CASE("SIGTERM reaches the ranks that were started, and is said", "[command]") {
  if (!can_start_programs()) return;
  const Outcome outcome =
      run("demo --device sim --spawn 2 --tokens 4096 --seed 47114711", "timeout --preserve-status 2");
  CHECK(outcome.code == 3);
  CHECK(contains(outcome.err, "rank 0 was killed by signal 15"));
  CHECK(contains(outcome.err, "rank 1 was killed by signal 15"));
  CHECK(std::system("pgrep -f 'tokens 4096 --seed [4]7114711' >/dev/null") != 0);
}

#endif  // ALLNORM_COMMAND
