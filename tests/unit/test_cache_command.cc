// `allnorm cache`: what it says of the kernels on disk, and that only those who were asked to change anything.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "cache_command.h"
#include "catch.h"

#ifdef ALLNORM_COMMAND

using namespace allnorm;
using namespace allnorm::command_test;

TEST_CASE("cache and its subcommands have help, and refuse what they do not know") {
  for (const char* sub : {"", "list ", "stat ", "verify ", "prune ", "extract ", "explain "}) {
    INFO(sub);
    const Outcome outcome = run("cache " + std::string(sub) + "--help");
    CHECK(outcome.code == 0);
    CHECK(contains(outcome.out, "Usage: allnorm cache " + std::string(sub)));
    CHECK(contains(outcome.out, "Exit codes:"));
    CHECK(contains(outcome.out, "Examples:\n  "));
  }
  check_refused("cache", "cache: no subcommand given, allowed: list, stat, verify, prune, extract, explain\n");
  check_refused("cache lst", "lst: unknown command; did you mean list?");
}

TEST_CASE("a cache that is empty or missing is no error, and is not made") {
  const Kernels kernels;
  for (const char* sub : {"list", "stat", "verify", "prune"}) {
    INFO(sub);
    const Outcome outcome = kernels.command(sub);
    CHECK(outcome.code == 0);
    CHECK(outcome.err.empty());
    CHECK(contains(outcome.out, "0 kernels"));
    CHECK(contains(outcome.out, kernels.directory + " (does not exist yet)"));
  }
  CHECK(kernels.command("extract 0123").code == 1);
  CHECK(kernels.command("explain").code == 1);
  CHECK_FALSE(fs::exists(kernels.directory));

  fs::create_directory(kernels.directory);
  CHECK(kernels.json("list")["kernels"].empty());
  CHECK(fs::is_empty(kernels.directory));
  const Outcome nowhere = run("cache list", "-u HOME -u XDG_CACHE_HOME -u ALLNORM_CACHE_DIR");
  CHECK(nowhere.code == 3);
  CHECK(contains(nowhere.err, "set ALLNORM_CACHE_DIR, or give --directory"));
}

TEST_CASE("cache list: a line a kernel, in words; last used first") {
  const Kernels kernels;
  Spec quantized = gpu_spec(1024);
  quantized.quant = Quant::kFp8;
  quantized.has_output = false;
  quantized.pdl = Pdl::kLateTrigger;
  const cache::Entry first = entry_of(gpu_spec());
  const cache::Entry second = entry_of(quantized);
  make_older(kernels.put(first), 30);
  kernels.put(second);
  Spec other = gpu_spec();
  other.target = Target::kSm100a;
  kernels.put(entry_of(other), "sm_100a");

  const Outcome outcome = kernels.command("list --target sm_90a");
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "sm_90a  " + first.key.substr(0, 16) + "  "));
  CHECK(contains(outcome.out, "  30 h  NVRTC 12.9, 140 ms  fused one_shot, bf16, hidden 512, world 2, 1x2x1\n"));
  CHECK(contains(outcome.out, "fused one_shot fp8, bf16, hidden 1024, world 2, 1x4x1, pdl late, no output\n"));
  CHECK(outcome.out.find(second.key.substr(0, 16)) < outcome.out.find(first.key.substr(0, 16)));
  CHECK(contains(outcome.out, "\n2 kernels, "));
  CHECK_FALSE(contains(outcome.out, "sm_100a"));

  const Json json = kernels.json("list");
  REQUIRE(json["kernels"].size() == 3);
  CHECK(json["kernels"][0]["target"] == "sm_100a");
  CHECK(json["kernels"][2]["key"] == first.key);
  CHECK(json["kernels"][2]["spec"]["hidden_dim"] == 512);
  CHECK(json["kernels"][2]["compiler"] == "NVRTC 12.9");
  CHECK(json["kernels"][2]["compile_seconds"] == 0.1404);
  CHECK(json["kernels"][2]["problem"].is_null());
  CHECK(json["kernels"][2]["bytes"] == fs::file_size(kernels.store.path_of("sm_90a", first.key)));
}

TEST_CASE("cache list prints nothing that a terminal would obey, and trusts no provenance") {
  const Kernels kernels;
  cache::Entry entry = entry_of(gpu_spec());
  Json provenance = Json::parse(entry.provenance);
  provenance["nvrtc"] = "\x1b[31mred";
  provenance["spec"]["hidden_dim"] = "wide";
  provenance["key"]["spec"] = "a\nb\x7f";
  entry.provenance = provenance.dump();
  kernels.put(entry);
  entry = entry_of(gpu_spec(1024));
  entry.provenance = "no json \xff";
  kernels.put(entry);
  const Outcome outcome = kernels.command("list");
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "NVRTC ?[31mred"));
  CHECK(contains(outcome.out, "  a?b?\n"));
  CHECK(contains(outcome.out, "  unknown\n"));
  for (const std::string& text : {outcome.out, kernels.command("list --json").out}) {
    CHECK(text.find_first_not_of("\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
                                 "abcdefghijklmnopqrstuvwxyz{|}~") == std::string::npos);
  }
}

TEST_CASE("cache stat: how many, how large, how full") {
  const Kernels kernels;
  make_older(kernels.put(entry_of(gpu_spec())), 100);
  kernels.put(entry_of(gpu_spec(1024)));
  Spec other = gpu_spec();
  other.target = Target::kSm120a;
  cache::Entry large = entry_of(other);
  large.payload.resize(1 << 20);
  const std::string path = kernels.put(large, "sm_120a");
  overwrite(kernels.directory + "/.0123456789abcdef.tmp", "cut sh");
  overwrite(kernels.directory + "/v1/notes.txt", "mine");
  make_prebuilt(kernels.folder / "prebuilt", {gpu_spec(2048)});

  const std::string environment =
      "ALLNORM_CACHE_MAX_MB=4 ALLNORM_CACHE=read-only ALLNORM_PREBUILT_DIRS=" + (kernels.folder / "prebuilt");
  const Outcome outcome = kernels.command("stat", environment);
  CHECK(outcome.code == 0);
  for (const char* line :
       {"read-only: nothing is kept, ALLNORM_CACHE=read-only\n", "  3 kernels, 1.0 MiB\n", "  sm_90a   2 kernels, ",
        "  sm_120a  1 kernel, ", "4.0 MiB, 25.", "% full", "4 days ago to <1 min ago\n",
        "temporary  1 file: ", "foreign    1 file: ", "prebuilt kernels of ALLNORM_PREBUILT_DIRS\n"}) {
    INFO(outcome.out);
    CHECK(contains(outcome.out, line));
  }
  const Json json = kernels.json("stat", environment);
  CHECK(json["mode"] == "read-only");
  CHECK(json["user"]["kernels"] == 3);
  CHECK(json["user"]["targets"]["sm_120a"]["bytes"] == fs::file_size(path));
  CHECK(json["user"]["limit_bytes"] == 4 << 20);
  CHECK(json["user"]["temporary_files"] == 1);
  CHECK(json["user"]["foreign_files"] == 1);
  CHECK(json["user"]["newest_use"].get<int>() - json["user"]["oldest_use"].get<int>() >= 100 * 3600);
  REQUIRE(json["prebuilt"].size() == 1);
  CHECK(json["prebuilt"][0]["kernels"] == 1);

  const Outcome broken = kernels.command("stat", "ALLNORM_PREBUILT_DIRS=" + kernels.directory);
  CHECK(broken.code == 1);
  CHECK(contains(broken.err, "/manifest.json is not there"));
}

TEST_CASE("cache verify finds each kind of bad kernel, says why, and removes it when asked") {
  const Kernels kernels;
  const std::string good = kernels.put(entry_of(gpu_spec()));
  const std::string cut = kernels.put(entry_of(gpu_spec(1024)));
  const std::string writable = kernels.put(entry_of(gpu_spec(1536)));
  const std::string link = kernels.put(entry_of(gpu_spec(2048)));
  const std::string swapped = kernels.put(entry_of(gpu_spec(2560)));
  CHECK(kernels.command("verify").code == 0);

  overwrite(cut, read_file(cut).substr(0, 200));
  fs::permissions(writable, fs::perms::group_write, fs::perm_options::add);
  overwrite(kernels.folder / "precious", "precious");
  fs::remove(link);
  fs::create_symlink(kernels.folder / "precious", link);
  fs::remove(swapped);
  fs::copy_file(good, swapped);
  overwrite(kernels.directory + "/v1/sm_90a/README", "mine");

  const auto before = snapshot(kernels.directory);
  const Outcome outcome = kernels.command("verify");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.out, "its digest does not match"));
  CHECK(contains(outcome.out, "1 file not put there by AllNorm"));
  CHECK(contains(outcome.out, "5 kernels read, 4 bad, in " + kernels.directory + "\n"));
  std::map<std::string, std::string> problems;
  const Json verified = kernels.json("verify");
  for (const Json& bad : verified["bad"]) problems[bad["path"]] = bad["problem"];
  CHECK(problems == std::map<std::string, std::string>{{cut, "its digest does not match"},
                                                       {writable, "others may write it"},
                                                       {link, "it is a symbolic link"},
                                                       {swapped, "an entry of another key"}});
  CHECK(contains(kernels.command("list").out, "not usable: it is a symbolic link\n"));
  CHECK(snapshot(kernels.directory) == before);

  const Outcome removed = kernels.command("verify --remove");
  CHECK(removed.code == 1);
  CHECK(contains(removed.out, "4 bad (4 removed)"));
  CHECK(read_file(kernels.folder / "precious") == "precious");
  CHECK(fs::exists(kernels.directory + "/v1/sm_90a/README"));
  CHECK(fs::exists(good));
  CHECK(kernels.command("verify").code == 0);
}

TEST_CASE("cache verify holds prebuilt kernels against their manifest, and never removes one") {
  const Kernels kernels;
  const std::string directory = kernels.folder / "prebuilt";
  make_prebuilt(directory, {gpu_spec(), gpu_spec(1024), gpu_spec(2048)});
  const std::string flag = "verify --directory " + directory;
  CHECK(kernels.command(flag).code == 0);
  CHECK(kernels.json("list --directory " + directory)["kernels"].size() == 3);

  // A good entry, but not the one of the manifest; one that the manifest does not name; one that is not there.
  const cache::Store store(directory);
  cache::Entry other = entry_of(gpu_spec());
  other.payload += "!";
  std::string reason;
  REQUIRE(store.put("sm_90a", other, reason));
  const cache::Entry unnamed = entry_of(gpu_spec(4096));
  REQUIRE(store.put("sm_90a", unnamed, reason));
  const std::string gone = store.path_of("sm_90a", entry_of(gpu_spec(1024)).key);
  fs::remove(gone);
  const Json json = kernels.json(flag);
  REQUIRE(json["bad"].size() == 2);
  for (const Json& bad : json["bad"]) {
    CHECK(contains(bad["problem"], bad["path"] == gone ? "which is not there" : "it is not what the manifest says"));
    CHECK(contains(bad["advice"], "allnorm warm --output " + directory));
  }
  CHECK(json["foreign_files"] == Json{store.path_of("sm_90a", unnamed.key)});
  CHECK(kernels.command(flag).code == 1);
  check_refused("cache " + flag + " --remove", "--remove: with --directory " + directory + " given, allowed: ");

  overwrite(directory + "/manifest.json", "{}");
  const Outcome broken = kernels.command(flag);
  CHECK(broken.code == 1);
  CHECK(contains(broken.err, "/manifest.json: "));
}

TEST_CASE("cache prune removes the kernels that were not used for longest, and says so") {
  const Kernels kernels;
  std::vector<std::string> paths;
  for (int i = 0; i < 3; ++i) {
    cache::Entry entry = entry_of(gpu_spec(512 * (i + 1)));
    entry.payload.resize(600 << 10);
    paths.push_back(kernels.put(entry));
    make_older(paths.back(), 10 - i);
  }
  overwrite(kernels.directory + "/.0123456789abcdef.tmp", "cut sh");
  overwrite(kernels.directory + "/v1/notes.txt", "mine");

  const Outcome outcome = kernels.command("prune --max-mb 1");
  INFO(outcome.out);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "2 kernels removed, 1.2 MiB; 1 temporary file removed\n1 kernel left, 601."));
  CHECK(contains(outcome.out, "; the limit is 1.0 MiB\n"));
  CHECK(fs::exists(paths[2]));
  CHECK_FALSE(fs::exists(paths[1]));

  CHECK(kernels.json("prune", "ALLNORM_CACHE_MAX_MB=1")["kernels_removed"] == 0);
  CHECK(contains(kernels.command("prune", "ALLNORM_CACHE_MAX_MB=0").out, "; there is no limit\n"));
  overwrite(paths[0], "");  // has no bytes, and goes too
  const Json all = kernels.json("prune --all");
  CHECK(all["kernels_removed"] == 2);
  CHECK(all["kernels_left"] == 0);
  CHECK(fs::exists(kernels.directory + "/v1/notes.txt"));
  check_refused("cache prune --all --max-mb 3", "--max-mb: with --all given, allowed: one of the two");
}

TEST_CASE("cache extract writes the binary of the one kernel that is meant") {
  const Kernels kernels;
  const cache::Entry entry = entry_of(gpu_spec());
  const std::string path = kernels.put(entry);
  cache::Entry sibling = entry_of(gpu_spec(1024));
  sibling.key = entry.key.substr(0, 20) + std::string(44, entry.key[20] == '0' ? '1' : '0');
  kernels.put(sibling);
  const std::string file = kernels.folder / "out of.cubin";

  const Outcome outcome = kernels.command("extract " + entry.key.substr(0, 21) + " -o '" + file + "'");
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(read_file(file) == entry.payload);
  CHECK(contains(outcome.out, "allnorm_one_shot for sm_90a (fused one_shot, bf16, hidden 512, world 2, 1x2x1)\n"));
  CHECK(contains(outcome.out, "nvdisasm -c '" + file + "'"));
  CHECK(contains(outcome.out, "cuobjdump -sass -res-usage '" + file + "'"));

  const Outcome ambiguous = kernels.command("extract " + entry.key.substr(0, 20));
  CHECK(ambiguous.code == 1);
  CHECK(contains(ambiguous.err, "KEY: 2 kernels' keys begin with " + entry.key.substr(0, 20) + "; give more digits"));
  CHECK(contains(ambiguous.err, "  " + entry.key + "  sm_90a  fused one_shot, bf16, hidden 512"));
  CHECK(contains(ambiguous.err, "  " + sibling.key + "  sm_90a  "));
  const Outcome none = kernels.command("extract " + std::string(64, '0'));
  CHECK(none.code == 1);
  CHECK(contains(none.err, "KEY: no kernel's key begins with 000"));
  check_refused("cache extract 123", "KEY: \"123\" given, allowed: the first 4 to 64 hexadecimal digits of a key");
  check_refused("cache extract 123x", "KEY: \"123x\" given");
  check_refused("cache extract", "KEY is required");
  const Outcome unwritable = kernels.command("extract " + entry.key + " -o /nonexistent/k.cubin");
  CHECK(unwritable.code == 2);
  CHECK(contains(unwritable.err, "--out: \"/nonexistent/k.cubin\" cannot be written"));

  overwrite(path, "not an entry");
  const Outcome bad = kernels.command("extract " + entry.key + " -o " + (kernels.folder / "bad"));
  CHECK(bad.code == 1);
  CHECK(contains(bad.err, "is not usable: not an entry of this cache"));
  CHECK_FALSE(fs::exists(kernels.folder / "bad"));
  // A prebuilt kernel of that key is as good.
  make_prebuilt(kernels.folder / "prebuilt", {gpu_spec()});
  const Json json = kernels.json("extract " + entry.key + " -o " + file.substr(0, file.find(' ')),
                                 "ALLNORM_PREBUILT_DIRS=" + (kernels.folder / "prebuilt"));
  CHECK(json["bytes"] == entry.payload.size());
  CHECK(json["next"][0] == "nvdisasm -c " + json["file"].get<std::string>());
}

TEST_CASE("cache shows a kernel that NVRTC has compiled") {
  const Kernels kernels;
  KernelCompiler compiler(with_cache(Env::from_process(), kernels.directory));
  const CompiledKernel kernel = compiler.compile(gpu_spec());
  CHECK(kernels.command("explain --hidden 512").code == 0);
  const Json json = kernels.json("list")["kernels"][0];
  CHECK(json["key"] == compiler.key(gpu_spec()).hex);
  CHECK(json["compiler"] == "NVRTC " + compiler.nvrtc().version());
  CHECK(json["compile_seconds"] == kernel.seconds);
  const std::string file = kernels.folder / "kernel.cubin";
  CHECK(kernels.command("extract " + json["key"].get<std::string>() + " -o " + file).code == 0);
  CHECK(read_file(file) == std::string(reinterpret_cast<const char*>(kernel.binary.data()), kernel.binary.size()));
}

#endif  // ALLNORM_COMMAND
