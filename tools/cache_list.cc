// `allnorm cache list`: the kernels of a directory, a line each.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

#include "cache_command.h"
#include "dispatch/spec_text.h"
#include "options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

struct Options {
  std::string directory;
  std::optional<Target> target;
  bool json = false;
};

nlohmann::ordered_json to_json(const StoredKernel& kernel) {
  nlohmann::ordered_json json = {{"target", kernel.target},
                                 {"key", kernel.key},
                                 {"bytes", kernel.bytes},
                                 {"last_use", kernel.last_use},
                                 {"path", kernel.path}};
  const auto set = [&](const char* name, bool known, const auto& value) {
    json[name] = known ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
  };
  const KernelOrigin& origin = kernel.origin;
  json["spec"] = origin.spec ? nlohmann::ordered_json::parse(allnorm::to_json(*origin.spec)) : nullptr;
  set("compiler", !origin.compiler.empty(), origin.compiler);
  set("compile_seconds", origin.compile_seconds.has_value(), origin.compile_seconds.value_or(0));
  set("problem", !kernel.problem.empty(), kernel.problem);
  return json;
}

std::string describe_compilation(const KernelOrigin& origin) {
  std::string text = plain(origin.compiler);
  if (origin.compile_seconds) text += fmt::format(", {:.0f} ms", *origin.compile_seconds * 1e3);
  return text;
}

std::string to_text(const CacheContents& contents) {
  std::string summary = count(contents.kernels.size(), "kernel");
  std::int64_t bytes = 0;
  for (const StoredKernel& kernel : contents.kernels) bytes += kernel.bytes;
  summary += fmt::format(", {}, in {}\n", format_bytes(static_cast<std::uint64_t>(bytes)), describe(contents.place));
  if (contents.kernels.empty()) return summary;

  // Not wrapped: a line a kernel, for those who search in it.
  TextTable table({{}, {}, {'r'}, {'r'}, {}, {}});
  table.add({"target", "key", "size", "last use", "compiled by", "for"});
  for (const StoredKernel& kernel : contents.kernels) {
    table.add({plain(kernel.target), short_key(kernel.key), format_bytes(static_cast<std::uint64_t>(kernel.bytes)),
               kernel.last_use == 0 ? "-" : format_age(kernel.last_use), describe_compilation(kernel.origin),
               kernel.problem.empty() ? plain(kernel.origin.purpose()) : "not usable: " + plain(kernel.problem)});
  }
  return table.to_string() + "\n" + summary;
}

int run(const Options& options) {
  const CachePlace place = place_of(Env::from_process(), options.directory);
  CacheContents contents = read_contents(place);
  if (options.target) {
    std::erase_if(contents.kernels,
                  [&](const StoredKernel& kernel) { return kernel.target != to_string(*options.target); });
  }
  std::sort(contents.kernels.begin(), contents.kernels.end(), [](const StoredKernel& a, const StoredKernel& b) {
    return std::tie(a.target, b.last_use, a.key) < std::tie(b.target, a.last_use, b.key);
  });
  if (options.json) {
    nlohmann::ordered_json json = {{"directory", place.directory},
                                   {"prebuilt", place.prebuilt},
                                   {"kernels", nlohmann::ordered_json::array()},
                                   {"reasons", contents.reasons}};
    for (const StoredKernel& kernel : contents.kernels) json["kernels"].push_back(to_json(kernel));
    print_json(json);
  } else {
    fmt::print("{}", to_text(contents));
    print_reasons(contents.reasons);
  }
  return contents.reasons.empty() ? kExitOk : kExitFailed;
}

}  // namespace

Run add_cache_list(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_directory(app, options->directory);
  add_name(app, "--target", options->target, kTargets, "Only kernels for this one");
  app.add_flag("--json", options->json, "Print JSON, with whole keys and Specs");
  add_notes(
      app,
      "By target, last used first. The time of use is exact to the hour; of prebuilt kernels it is the file's.\n"
      "What a kernel is for: operation, strategy, quantization; dtype, hidden size, ranks, geometry (CTAs a row x "
      "warps a CTA x chunks a warp); and what is not usual.\n\n"
      "Exit codes: 0 listed; 1 part of it could not be read; 2 wrong options; 3 there is no cache.\n\n"
      "Examples:\n"
      "  allnorm cache list --target sm_90a\n"
      "  allnorm cache list --directory /opt/kernels\n"
      "  allnorm cache list --json | jq '.kernels[] | select(.spec.hidden_dim == 7168) | .key'");
  return [options] { return run(*options); };
}

}  // namespace allnorm::tools
