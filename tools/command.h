// The subcommands of `allnorm`, and what they share: exit codes and the error for wrong arguments.
//
// A subcommand's add_*() declares its options on an App of its own and gives back what runs it once
// the command line is parsed. run() returns an exit code; errors leave it as allnorm::Error.
#ifndef ALLNORM_TOOLS_COMMAND_H_
#define ALLNORM_TOOLS_COMMAND_H_

#include <functional>
#include <stdexcept>
#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): theirs
class App;
}

namespace allnorm::tools {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;       ///< It ran, and the answer is no.
inline constexpr int kExitUsage = 2;        ///< The command line is wrong; nothing was done.
inline constexpr int kExitUnavailable = 3;  ///< Something that it needs is missing or broken here.

/// "--world: 73 given, allowed: 1 to 72". Ends in kExitUsage.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] void refuse(const std::string& flag, const std::string& given, const std::string& allowed);

using Run = std::function<int()>;

Run add_bench(CLI::App& app);
Run add_cache(CLI::App& app);
Run add_compile(CLI::App& app);
Run add_demo(CLI::App& app);
Run add_doctor(CLI::App& app);
Run add_simulate(CLI::App& app);
Run add_soak(CLI::App& app);
Run add_tune(CLI::App& app);
Run add_warm(CLI::App& app);
/// Not for people.
Run add_warm_worker(CLI::App& app);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_COMMAND_H_
