// `allnorm`: finds the subcommand, runs it, and turns errors into messages and exit codes.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "allnorm/error.h"
#include "allnorm/version.h"
#include "options.h"
#include "text.h"

namespace allnorm::tools {
namespace {

constexpr const char* kFooter = R"(Exit codes:
  0  done; for doctor: a fused call can run on a GPU here
  1  it ran, and the answer is no: outputs differ, or a fused call cannot run on a GPU here
  2  the command line is wrong; nothing was done
  3  something that the command needs is missing or broken here

Examples:
  allnorm doctor                      what is here, and what to do about what is not
  allnorm demo                        run the call on what is here, verified to the bit
  allnorm simulate --seeds 10000      the kernels on simulated GPUs, in as many orders of things
  allnorm soak --calls 1000000        random calls on GPUs, each checked
  allnorm bench --quant none,fp8      how long the call takes, beside the machine's own floor
  allnorm tune --hidden 4096,7168     measure which strategy is the fastest, for AUTO
  allnorm compile --target sm_100a --hidden 7168 --quant nvfp4 -o kernel.cubin
  allnorm warm --hidden 7168 --quant fp8 --world 2,4,8 --arch sm_90a --output kernels
  allnorm cache list                  the kernels that are kept on disk
  allnorm demo --help                 the options of a command, with examples)";

struct Subcommand {
  CLI::App* app;
  Run run;
};

/// Does not throw: it is what main has left when something was thrown.
void report(const char* message, const char* more = "") noexcept {
  std::fflush(stdout);
  std::fprintf(stderr, "allnorm: %s%s\n", message, more);
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

/// The subcommand, or the subcommand's subcommand, that the command line names; the App itself if it names none.
const CLI::App& chosen_of(const CLI::App& app) {
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  return parsed.empty() ? app : chosen_of(*parsed.front());
}

/// "cache list "; empty for the command itself.
std::string words_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? "" : words_of(*app.get_parent()) + app.get_name() + " ";
}

/// What the parser says about an argument that it does not know, with the one that was meant.
std::string describe_extra(const CLI::App& app) {
  const CLI::App& chosen = chosen_of(app);
  const std::vector<std::string> extras = app.remaining(true);
  const std::string given = extras.empty() ? std::string() : extras.front();
  std::vector<std::string> names = flags_of(chosen);
  const std::vector<const CLI::App*> commands = chosen.get_subcommands({});
  for (const CLI::App* sub : commands) {
    if (!sub->get_group().empty()) names.push_back(sub->get_name());
  }
  const std::string meant = nearest(given, names);
  const char* const kind = given.starts_with("-") || commands.empty() ? "argument" : "command";
  return fmt::format("{}: unknown {}{}", given, kind, meant.empty() ? "" : fmt::format("; did you mean {}?", meant));
}

int usage_error(const std::string& message, const CLI::App& app) {
  report(message.c_str());
  fmt::print(stderr, "See `allnorm {}--help`.\n", words_of(chosen_of(app)));
  return kExitUsage;
}

int parse_and_run(CLI::App& app, const std::vector<Subcommand>& subcommands, int argc, char** argv) {
  const auto wrong = [&](const std::string& message) { return usage_error(message, app); };
  try {
    app.parse(argc, argv);
    for (const Subcommand& s : subcommands) {
      if (s.app->parsed()) return s.run();
    }
    fmt::print("{}", app.help());
    return kExitOk;
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return kExitOk;
  } catch (const CLI::CallForVersion&) {
    fmt::print("allnorm {}\n", ALLNORM_VERSION_STRING);
    return kExitOk;
  } catch (const CLI::ExtrasError&) {
    return wrong(describe_extra(app));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string message = error.what();  // "--quant: 1 required NAME missing"
    return wrong(fmt::format("{}: a value is missing", message.substr(0, message.find(':'))));
  } catch (const CLI::ParseError& error) {
    return wrong(error.what());
  } catch (const UsageError& error) {
    return wrong(error.what());
  }
}

int main(int argc, char** argv) {
  CLI::App app("AllReduce + residual + RMSNorm + FP8/NVFP4 quantization in one GPU kernel.", "allnorm");
  app.set_version_flag("--version", ALLNORM_VERSION_STRING, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.footer(kFooter);
  const std::vector<Subcommand> subcommands = [&] {
    std::vector<Subcommand> list;
    const auto add = [&](const char* name, const char* what, Run (*declare)(CLI::App&)) {
      CLI::App* const sub = app.add_subcommand(name, what);
      list.push_back({sub, declare(*sub)});
      return sub;
    };
    add("doctor", "Say what is here, whether a fused call can run, and what to do if not", add_doctor);
    add("demo", "Run the call on what is here and verify every byte", add_demo);
    add("soak", "Run random calls on GPUs for long and check each on the device", add_soak);
    add("bench", "Measure the call on GPUs, beside the least that they could take", add_bench);
    add("tune", "Measure which strategy and geometry are the fastest here, and write the table for AUTO", add_tune);
    add("simulate", "Run the kernels on simulated GPUs in many orders and verify every byte", add_simulate);
    add("compile", "Compile one kernel for any GPU; needs none", add_compile);
    add("warm", "Compile kernels beforehand, into the cache or a directory to ship; needs no GPU", add_warm);
    add("cache", "Look at the compiled kernels that are kept on disk, check them, remove them", add_cache);
    add("warm-worker", "", add_warm_worker)->group("");  // In no help text.
    return list;
  }();
  return parse_and_run(app, subcommands, argc, argv);
}

}  // namespace
}  // namespace allnorm::tools

int main(int argc, char** argv) {
  using allnorm::ErrorCode;
  try {
    return allnorm::tools::main(argc, argv);
  } catch (const allnorm::Error& error) {
    allnorm::tools::report(error.what());
    return error.code() == ErrorCode::kInvalidArgument ? allnorm::tools::kExitUsage : allnorm::tools::kExitUnavailable;
  } catch (const std::exception& error) {
    allnorm::tools::report(error.what(), " (this should not happen: please report it)");
    return allnorm::tools::kExitUnavailable;
  }
}
