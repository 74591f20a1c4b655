// `allnorm cache explain`: whether a call would find a kernel, and if not, why.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "allnorm/error.h"
#include "cache/prebuilt_directory.h"
#include "cache_command.h"
#include "dispatch/spec_text.h"
#include "jit/compiler.h"
#include "key_difference.h"
#include "prebuilt.h"
#include "spec_options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

struct Options {
  explicit Options(CLI::App& app) : spec(app) { app.add_flag("--json", json, "Print JSON"); }
  SpecOptions spec;
  bool json = false;
};

/// What was looked for, under which keys.
struct Question {
  Spec spec;
  cache::Key prebuilt;            ///< Of prebuilt kernels.
  std::optional<cache::Key> own;  ///< Of the user's cache; none where it needs a compiler that is not here.
  std::string why_no_own;
};

/// Where was looked, and what was found.
struct Answer {
  const char* kind;       ///< "embedded", "prebuilt", "user"
  std::string directory;  ///< Empty of embedded kernels.
  bool hit = false;
  std::string remark;  ///< Of a miss: what was wrong, if anything was.
};

struct Nearest {
  CachePlace place;
  StoredKernel kernel;
  std::vector<FieldDifference> differences;
};

/// As KernelCompiler::find_prebuilt() and find_own() look, and in their order.
std::vector<Answer> look_up(const Question& question, const cache::CacheOptions& options) {
  const char* const target = to_string(question.spec.target);
  std::vector<Answer> answers{{"embedded", "", false, ""}};
  for (const PrebuiltKernel& kernel : prebuilt_kernels()) {
    if (kernel.key_hex == question.prebuilt.hex) answers.front().hit = true;
  }
  if (options.mode == cache::Mode::kOff) return answers;
  cache::FileSystem& files = cache::FileSystem::real();
  for (const std::string& directory : options.prebuilt_directories) {
    Answer& answer = answers.emplace_back(Answer{"prebuilt", directory, false, ""});
    answer.hit =
        cache::PrebuiltDirectory(directory, files).get(target, question.prebuilt.hex, answer.remark).has_value();
  }
  if (options.directory.empty()) return answers;
  Answer& answer = answers.emplace_back(Answer{"user", options.directory, false, question.why_no_own});
  if (question.own) {
    const cache::Store store(options.directory, files, {.read_only = true});
    answer.hit = store.get(target, question.own->hex, answer.remark).has_value();
  }
  return answers;
}

bool is_better(const StoredKernel& kernel, std::size_t differing, const std::optional<Nearest>& best) {
  if (!best || differing != best->differences.size()) return !best || differing < best->differences.size();
  return kernel.last_use > best->kernel.last_use;
}

/// Of the kernels that could have been found, the one with the fewest differing fields.
std::optional<Nearest> find_nearest(const Question& question, const std::vector<Answer>& answers,
                                    std::size_t& looked_at) {
  std::optional<Nearest> best;
  for (const Answer& answer : answers) {
    if (answer.directory.empty()) continue;
    const CachePlace place{answer.directory, std::string_view(answer.kind) == "prebuilt"};
    const cache::Key& key = place.prebuilt || !question.own ? question.prebuilt : *question.own;
    const CacheContents contents = read_contents(place);
    for (const StoredKernel& kernel : contents.kernels) {
      if (!kernel.problem.empty() || kernel.origin.key.empty()) continue;
      looked_at++;
      cache::Key::Fields there = kernel.origin.key;
      // Where our compiler is unknown, nothing can be said of it.
      if (!question.own) std::erase_if(there, [](const auto& field) { return field.first == "compiler"; });
      auto differing = differences(key.fields, there);
      if (is_better(kernel, differing.size(), best)) best = Nearest{place, kernel, std::move(differing)};
    }
  }
  return best;
}

Question ask(KernelCompiler& compiler, const Spec& spec) {
  Question question{spec, compiler.key_without_compiler(spec), std::nullopt, ""};
  try {
    question.own = compiler.key(spec);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCompiler) throw;
    question.why_no_own =
        fmt::format("the key of a kernel for host needs the C++ compiler's name and version: {}", error.what());
  }
  return question;
}

/// What a call does about a miss.
const char* consequence_of(const Question& question, const cache::CacheOptions& options) {
  if (!question.own && options.mode != cache::Mode::kRequireHit) {
    return "a call fails, for it needs the C++ compiler to look into the user's cache and to compile";
  }
  switch (options.mode) {
    case cache::Mode::kReadOnly: return "a call compiles it, and does not keep it (ALLNORM_CACHE=read-only)";
    case cache::Mode::kRequireHit: return "a call fails, for ALLNORM_CACHE=require-hit forbids to compile";
    case cache::Mode::kOff: return "ALLNORM_CACHE=off: no directory is looked into, and every process compiles it";
    default: break;
  }
  return options.directory.empty() ? "a call compiles it, and there is no directory to keep it in"
                                   : "a call compiles it, and keeps it";
}

std::string name_of(const Answer& answer) {
  if (answer.directory.empty()) return "embedded in this command alone";
  return answer.directory + (std::string_view(answer.kind) == "prebuilt" ? " (prebuilt)" : " (the user's cache)");
}

std::string to_text(const Question& question, const std::vector<Answer>& answers) {
  std::string text = fmt::format("{} for {}\n", describe_briefly(question.spec), to_string(question.spec.target));
  const bool one_key = question.own && question.own->hex == question.prebuilt.hex;
  text += fmt::format("key {}{}\n", question.prebuilt.hex, one_key ? "" : " (of prebuilt kernels)");
  if (question.own && !one_key) text += fmt::format("key {} (of the user's cache)\n", question.own->hex);
  TextTable table({{}, {}, {}});
  for (const Answer& answer : answers) {
    table.add({"  " + name_of(answer), answer.hit ? "hit" : "miss", plain(answer.remark)});
  }
  return text + table.to_string();
}

std::string to_text(const std::optional<Nearest>& nearest, std::size_t looked_at) {
  if (!nearest) return "There is no kernel to compare it with.\n";
  std::string text =
      fmt::format("The nearest of {} is {} in {}, for {}", count(looked_at, "kernel"), short_key(nearest->kernel.key),
                  nearest->place.directory, plain(nearest->kernel.origin.purpose()));
  if (nearest->differences.empty()) return text + ". It names the same fields, and yet its key is another.\n";
  text += fmt::format(". It differs in {}:\n", count(nearest->differences.size(), "field"));
  for (const FieldDifference& difference : nearest->differences) text += "  " + plain(difference.to_string()) + "\n";
  return text;
}

nlohmann::ordered_json to_json(const Question& question, const std::vector<Answer>& answers, const Answer* hit,
                               const std::optional<Nearest>& nearest, cache::Mode mode) {
  nlohmann::ordered_json json = {
      {"hit", hit != nullptr},
      {"found_in", hit == nullptr ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(hit->kind)},
      {"mode", to_string(mode)},
      {"spec", nlohmann::ordered_json::parse(allnorm::to_json(question.spec))},
      {"key", question.own ? nlohmann::ordered_json(question.own->hex) : nlohmann::ordered_json(nullptr)},
      {"prebuilt_key", question.prebuilt.hex},
      {"places", nlohmann::ordered_json::array()},
      {"nearest", nullptr}};
  for (const Answer& answer : answers) {
    json["places"].push_back(nlohmann::ordered_json{
        {"kind", answer.kind}, {"directory", answer.directory}, {"hit", answer.hit}, {"remark", answer.remark}});
  }
  if (nearest) {
    nlohmann::ordered_json& near = json["nearest"];
    near = {{"directory", nearest->place.directory},
            {"target", nearest->kernel.target},
            {"key", nearest->kernel.key},
            {"differs", nlohmann::ordered_json::array()}};
    for (const FieldDifference& d : nearest->differences) {
      near["differs"].push_back(
          nlohmann::ordered_json{{"field", d.field}, {"here", d.here}, {"there", d.there}, {"meaning", d.meaning}});
    }
  }
  json["warm_command"] = warm_command(question.spec);
  return json;
}

int run(const Options& options) {
  const Spec spec = options.spec.spec();
  Env env = Env::from_process();
  env.record_specs.clear();  // looking is no call
  KernelCompiler compiler(env);
  const Question question = ask(compiler, spec);
  const std::vector<Answer> answers = look_up(question, env.cache);
  const Answer* hit = nullptr;
  for (const Answer& answer : answers) {
    if (answer.hit && hit == nullptr) hit = &answer;
  }
  std::size_t looked_at = 0;
  const auto nearest = hit == nullptr ? find_nearest(question, answers, looked_at) : std::nullopt;
  if (options.json) {
    print_json(to_json(question, answers, hit, nearest, env.cache.mode));
    return hit != nullptr ? kExitOk : kExitFailed;
  }
  fmt::print("{}\n", to_text(question, answers));
  if (hit != nullptr) {
    fmt::print("Hit: {}.\n", name_of(*hit));
    if (env.dump.any()) fmt::print("A call compiles it all the same: ALLNORM_DUMP asks for it.\n");
    return kExitOk;
  }
  const char* const mode = env.cache.mode == cache::Mode::kNormal ? "" : "ALLNORM_CACHE=normal ";
  fmt::print("Miss: {}.\n{}This makes it: {}{}\n", consequence_of(question, env.cache), to_text(nearest, looked_at),
             mode, warm_command(spec));
  return kExitFailed;
}

}  // namespace

Run add_cache_explain(CLI::App& app) {
  const auto options = std::make_shared<Options>(app);
  add_notes(
      app,
      "Looks where a call looks, in that order: the kernels of this command (no program has those), the directories "
      "of ALLNORM_PREBUILT_DIRS, the user's cache. Of a miss it names the kernel with the fewest differing fields "
      "of the key, and those fields.\n\n"
      "Exit codes: 0 hit; 1 miss; 2 wrong options; 3 the environment is wrong.\n\n"
      "Examples:\n"
      "  allnorm cache explain --world 8 --hidden 7168 --quant fp8 --no-output\n"
      "  allnorm cache explain --target host --hidden 512\n"
      "  ALLNORM_PREBUILT_DIRS=/opt/kernels allnorm cache explain --json | jq .nearest.differs");
  return [options] { return run(*options); };
}

}  // namespace allnorm::tools
