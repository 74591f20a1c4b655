// Env: every environment variable that the library reads, read once and as plain values.
//
// Nothing else in the library calls getenv: a Context makes one Env and hands it on. (What a launcher says of this
// process is LaunchedRank's, by the same getter.) An empty
// variable counts as unset, but for NVSHMEM_DISABLE_NVLS, which counts as for NVSHMEM. A value that
// is not allowed throws Error(kInvalidEnvironment) which names the variable, what it is, and what it
// may be. Variables that belong to others (HOME, PATH, XDG_*, NCCL_*, ...) never throw.
//
// Thread safety: a value type; from_process() may run in any thread as long as none changes the
// environment.
#ifndef ALLNORM_ENV_ENV_H_
#define ALLNORM_ENV_ENV_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "allnorm/log.h"
#include "cache/cache.h"
#include "env/device_choice.h"

namespace allnorm {

struct Env {
  /// One line of what help texts and `allnorm doctor` print.
  struct Variable {
    const char* name;
    const char* default_value;
    const char* description;
  };

  /// Which intermediate results of a compilation are written to dump_dir.
  struct Dump {
    bool source = false;
    bool ptx = false;
    bool sass = false;
    bool log = false;
    bool any() const noexcept { return source || ptx || sass || log; }
  };

  /// Like getenv(): nullptr where the variable is not set.
  using Getter = std::function<const char*(const char* name)>;

  LogLevel log_level = LogLevel::kWarn;

  DeviceChoice device;  ///< What runs the kernels.

  cache::CacheOptions cache;
  std::string record_specs;  ///< Absolute; empty: nothing is recorded.

  std::string nvrtc_path;   ///< Empty: the loader's search path.
  std::string driver_path;  ///< Empty: the loader's search path.
  std::string kernel_dir;   ///< Empty: the sources that are built in.

  std::string cxx_path;                       ///< Empty: the usual names, on the search path.
  std::string search_path = "/usr/bin:/bin";  ///< PATH.
  std::string temporary_dir = "/tmp";         ///< Absolute.
  std::string meeting_dir;                    ///< Where the ranks of a host meet: absolute, this user's.

  Dump dump;
  std::string dump_dir = ".";

  std::string table_path;  ///< Empty: the user's tables, then the ones that ship.
  std::string config_dir;  ///< Absolute; empty where there is no place for it.

  double timeout_seconds = 30;  ///< 0: no limit.

  bool checked = false;  ///< The ranks compare each call.

  bool multicast = false;              ///< ALLNORM_MULTICAST asks for it.
  bool multicast_forbidden = false;    ///< The site forbids it, whoever asks.
  std::string multicast_forbidden_by;  ///< "NAME=value", where it does.

  /// Reads the environment of the process; of it nothing but what forbids multicast in a set-user-ID
  /// or set-capability program, whose user could otherwise have it load any library.
  static Env from_process();

  static Getter process_getter();

  /// The same from any source of variables, each of which is asked for once.
  static Env parse(const Getter& get);

  /// What ALLNORM_CACHE may be: "normal", "read-only", "require-hit" or "off"; nothing for another text.
  static std::optional<cache::Mode> parse_cache_mode(const std::string& text) noexcept;
  static constexpr const char* kCacheModes = "normal, read-only, require-hit or off";
  /// A list of folders with colons between them. Throws kInvalidEnvironment unless each is absolute; `name` says whose.
  static std::vector<std::string> parse_folders(const char* name, const std::string& text);
  /// Why compiled kernels are not kept; empty where they are.
  static std::string why_not_kept(const cache::CacheOptions& options);

  /// All variables that parse() asks for, in the order for printing.
  static std::span<const Variable> variables() noexcept;
};

}  // namespace allnorm

#endif  // ALLNORM_ENV_ENV_H_
