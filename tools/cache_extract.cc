// `allnorm cache extract`: one kernel's binary, as a file of its own.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cache_command.h"
#include "options.h"
#include "output_file.h"
#include "text.h"

namespace allnorm::tools {
namespace {

constexpr std::size_t kFewestDigits = 4;
constexpr std::size_t kKeyDigits = 64;

struct Options {
  std::string key;
  std::string directory;
  std::string out;
  bool json = false;
};

/// A kernel, and the contents that it is of.
struct Match {
  const CacheContents* contents;
  StoredKernel kernel;
};

/// The directory that was given; else the user's cache and the prebuilt directories.
std::vector<CachePlace> places_of(const Env& env, const std::string& given) {
  if (!given.empty() || env.cache.prebuilt_directories.empty()) return {place_of(env, given)};
  std::vector<CachePlace> places;
  if (!env.cache.directory.empty()) places.push_back({env.cache.directory, false});
  for (const std::string& directory : env.cache.prebuilt_directories) places.push_back({directory, true});
  return places;
}

std::string quote(const std::string& path) {
  constexpr std::string_view kHarmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  if (path.find_first_not_of(kHarmless) == std::string::npos) return path;
  std::string quoted = "'";
  for (const char c : path) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

bool is_for_host(const StoredKernel& kernel) { return kernel.target == to_string(Target::kHost); }

std::vector<std::string> next_commands(const StoredKernel& kernel, const std::string& file) {
  if (is_for_host(kernel)) return {"objdump -d -C " + quote(file)};
  return {"nvdisasm -c " + quote(file), "cuobjdump -sass -res-usage " + quote(file)};
}

int fail(const std::string& message) {
  fmt::print(stderr, "allnorm: {}\n", message);
  return kExitFailed;
}

int run(const Options& options) {
  if (options.key.size() < kFewestDigits || options.key.size() > kKeyDigits ||
      options.key.find_first_not_of("0123456789abcdef") != std::string::npos) {
    refuse("KEY", "\"" + plain(options.key) + "\"", "the first 4 to 64 hexadecimal digits of a key");
  }
  std::vector<std::unique_ptr<CacheContents>> all;
  std::vector<Match> matches;  // of different keys
  std::vector<std::string> searched;
  for (const CachePlace& place : places_of(Env::from_process(), options.directory)) {
    const auto& contents = all.emplace_back(std::make_unique<CacheContents>(list_contents(place)));
    searched.push_back(describe(place));
    print_reasons(contents->reasons);
    for (StoredKernel& kernel : contents->kernels) {
      if (!kernel.key.starts_with(options.key)) continue;
      const auto same = [&](const Match& m) { return m.kernel.key == kernel.key && m.kernel.target == kernel.target; };
      const auto before = std::find_if(matches.begin(), matches.end(), same);
      if (before == matches.end()) {
        matches.push_back({contents.get(), std::move(kernel)});
      } else if (!read_kernel(*before->contents, before->kernel)) {
        *before = {contents.get(), std::move(kernel)};  // a good one, perhaps, of a bad one's key
      }
    }
  }
  if (matches.empty()) {
    return fail(fmt::format("KEY: no kernel's key begins with {} in {}; `allnorm cache list` has those that there are",
                            options.key, fmt::join(searched, ", ")));
  }
  if (matches.size() > 1) {
    TextTable table({{}, {}, {}});
    for (Match& match : matches) {
      read_kernel(*match.contents, match.kernel);
      table.add({"  " + match.kernel.key, match.kernel.target, plain(match.kernel.origin.purpose())});
    }
    return fail(fmt::format("KEY: {} kernels' keys begin with {}; give more digits of one of\n{}", matches.size(),
                            options.key, table.to_string()));
  }
  auto& [contents, kernel] = matches.front();
  const auto entry = read_kernel(*contents, kernel);
  if (!entry) {
    return fail(fmt::format("{} of {} is not usable: {}", kernel.key, contents->place.directory,
                            kernel.problem.empty() ? "it has gone meanwhile" : plain(kernel.problem)));
  }
  const std::string file =
      !options.out.empty() ? options.out
                           : fmt::format("allnorm_{}.{}", short_key(kernel.key), is_for_host(kernel) ? "so" : "cubin");
  write_output(file, entry->payload);
  const std::vector<std::string> commands = next_commands(kernel, file);
  if (options.json) {
    print_json({{"file", file},
                {"bytes", entry->payload.size()},
                {"target", kernel.target},
                {"key", kernel.key},
                {"kernel", entry->kernel_name},
                {"next", commands}});
    return kExitOk;
  }
  fmt::print("{} written, {} bytes: {} for {} ({})\n", file, entry->payload.size(), plain(entry->kernel_name),
             kernel.target, plain(kernel.origin.purpose()));
  fmt::print("To read it: {}\n", fmt::join(commands, ", or "));
  return kExitOk;
}

}  // namespace

Run add_cache_extract(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("KEY", options->key, "The first digits of its key, at least 4, as `allnorm cache list` prints them")
      ->required()
      ->type_name("");
  app.add_option("-o,--out", options->out, "Where to write it, default allnorm_<16 digits>.cubin (host: .so) here")
      ->type_name("FILE");
  add_directory(app, options->directory);
  app.add_flag("--json", options->json, "Print JSON");
  add_notes(
      app,
      "A cubin for GPUs, a shared object for host. Looks into the user's cache and the prebuilt directories, or "
      "into --directory alone.\n\n"
      "Exit codes: 0 written; 1 there is no such kernel, or more than one, or it is bad; 2 wrong options; 3 there "
      "is no cache.\n\n"
      "Examples:\n"
      "  allnorm cache extract 3fa2b1c0 -o kernel.cubin && nvdisasm -c kernel.cubin\n"
      "  allnorm cache extract 77b1 --directory /opt/kernels");
  return [options] { return run(*options); };
}

}  // namespace allnorm::tools
