#include "env/env.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "allnorm/error.h"

namespace allnorm {
namespace {

// Deadlines are counted in nanoseconds: less than a millisecond would cut off healthy calls (and
// the smallest values would round to 0, which means no limit), more than this would overflow.
constexpr double kMinTimeoutSeconds = 0.001;
constexpr double kMaxTimeoutSeconds = 1e6;

constexpr Env::Variable kVariables[] = {
    {"ALLNORM_LOG", "warn",
     "The least level of messages: trace, debug, info, warn, error or off. A program's "
     "set_log_level() wins."},
    {"ALLNORM_DEVICE", "cuda where there is a GPU, else sim",
     "What runs the kernels: cuda (GPUs, or an error), sim (8 simulated GPUs) or sim:N (N of them, 1 to 72)."},
    {"ALLNORM_CACHE", "normal",
     "normal (compiled kernels are kept on disk), read-only (none is written), require-hit (a kernel that is not there "
     "is an error) or off."},
    {"ALLNORM_CACHE_DIR", "$XDG_CACHE_HOME/allnorm or ~/.cache/allnorm",
     "Where compiled kernels are kept; an absolute path."},
    {"ALLNORM_PREBUILT_DIRS", "",
     "Directories that `allnorm warm --output` made, to look into first; absolute paths with colons between them."},
    {"ALLNORM_CACHE_MAX_MB", "1024",
     "The size of the user's cache in MiB (0 to 1000000; 0 is no limit): what was not used for longest goes."},
    {"ALLNORM_LOCK_DIR", "$XDG_RUNTIME_DIR/allnorm or $ALLNORM_CACHE_DIR/locks",
     "Where processes agree on who compiles what; an absolute path on a local disk."},
    {"ALLNORM_RECORD_SPECS", "",
     "A file to add each kernel to that the program needs, for `allnorm warm --manifest`; an absolute path."},
    {"ALLNORM_CONFIG_DIR", "$XDG_CONFIG_HOME/allnorm or ~/.config/allnorm",
     "Where the user's tuned tables lie, as tables/*.json; an absolute path."},
    {"ALLNORM_TABLE", "", "A tuned table to use before all others."},
    {"ALLNORM_TIMEOUT_SECONDS", "30",
     "How long a kernel waits for a peer, a decimal number (0.001 to 1000000); 0 is no limit."},
    {"ALLNORM_MULTICAST", "0", "1 asks for stores to multicast addresses, where the site does not forbid them."},
    {"ALLNORM_CHECKED", "0",
     "1: before each call the ranks compare its tokens, hidden_dim, dtype, quant and strategy, and a difference is an "
     "error on all. Costs some microseconds a call."},
    {"ALLNORM_DRIVER", "libcuda.so.1",
     "The CUDA driver library: an absolute path, or a name that the loader searches for."},
    {"ALLNORM_NVRTC", "libnvrtc.so", "The NVRTC library: an absolute path, or a name that the loader searches for."},
    {"ALLNORM_CXX", "c++, g++ or clang++",
     "The C++ compiler for the simulator's kernels: an absolute path, or a name on PATH."},
    {"ALLNORM_KERNEL_DIR", "", "For development: a folder of kernel sources to use in place of the built-in ones."},
    {"ALLNORM_DUMP", "", "What to write out for each compiled kernel, a comma list of source, ptx, sass and log."},
    {"ALLNORM_DUMP_DIR", ".", "Where ALLNORM_DUMP writes."},
    {"NCCL_NVLS_ENABLE", "", "0 forbids multicast, as it does for NCCL."},
    {"NVSHMEM_DISABLE_NVLS", "",
     "Forbids multicast, as it does for NVSHMEM: whatever it is, unless it begins with 0, n or f."},
    {"TORCH_SYMM_MEM_DISABLE_MULTICAST", "", "1 forbids multicast, as it does for PyTorch."},
    {"XDG_CACHE_HOME", "~/.cache", "The parent of the default ALLNORM_CACHE_DIR; ignored unless absolute."},
    {"XDG_RUNTIME_DIR", "", "The parent of the default ALLNORM_LOCK_DIR; ignored unless absolute."},
    {"XDG_CONFIG_HOME", "~/.config", "The parent of the default ALLNORM_CONFIG_DIR; ignored unless absolute."},
    {"HOME", "", "The ~ of the defaults above; ignored unless absolute."},
    {"PATH", "/usr/bin:/bin", "Where the C++ compiler is looked for; folders that are not absolute are passed over."},
    {"TMPDIR", "/tmp", "Where the C++ compiler works and processes meet, in private folders; ignored unless absolute."},
};

[[noreturn]] void reject(const char* name, const std::string& value, std::string_view allowed) {
  throw Error(ErrorCode::kInvalidEnvironment,
              fmt::format("{}=\"{}\" is not allowed: it must be {}. Correct it, or unset it.", name, value, allowed));
}

std::string text(const Env::Getter& get, const char* name) {
  const char* value = get(name);
  return value == nullptr ? std::string() : std::string(value);
}

bool is_absolute(const std::string& path) { return !path.empty() && path.front() == '/'; }

LogLevel log_level(const Env::Getter& get, const char* name) {
  const std::string value = text(get, name);
  if (value.empty()) return LogLevel::kWarn;
  for (const LogLevel level :
       {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError, LogLevel::kOff}) {
    if (value == to_string(level)) return level;
  }
  reject(name, value, "trace, debug, info, warn, error or off");
}

DeviceChoice device_choice(const Env::Getter& get, const char* name) {
  const std::string value = text(get, name);
  const std::optional<DeviceChoice> choice = parse_device_choice(value);
  if (!choice) reject(name, value, kDeviceChoices);
  return *choice;
}

bool choice(const Env::Getter& get, const char* name, std::string_view no, std::string_view yes, bool otherwise) {
  const std::string value = text(get, name);
  if (value.empty()) return otherwise;
  if (value != no && value != yes) reject(name, value, fmt::format("{} or {}", no, yes));
  return value == yes;
}

/// What a relative path means would depend on where each process happens to start.
std::string absolute_path(const Env::Getter& get, const char* name) {
  std::string value = text(get, name);
  if (!value.empty() && !is_absolute(value)) {
    reject(name, value, "an absolute path (~ and $ are not expanded)");
  }
  return value;
}

/// `what` is searched for by its name.
std::string path_or_name(const Env::Getter& get, const char* name, const char* what) {
  std::string value = text(get, name);
  if (!is_absolute(value) && value.find('/') != std::string::npos) {
    reject(name, value, fmt::format("an absolute path, or the name of a {} without a folder", what));
  }
  return value;
}

cache::Mode cache_mode(const Env::Getter& get, const char* name) {
  const std::string value = text(get, name);
  if (value.empty()) return cache::Mode::kNormal;
  const std::optional<cache::Mode> mode = Env::parse_cache_mode(value);
  if (!mode) reject(name, value, Env::kCacheModes);
  return *mode;
}

std::int64_t max_cache_bytes(const Env::Getter& get, const char* name) {
  constexpr std::int64_t kMiB = 1 << 20;
  const std::string value = text(get, name);
  if (value.empty()) return 1024 * kMiB;
  std::int64_t megabytes = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, megabytes);
  if (error != std::errc() || stop != end || megabytes < 0 || megabytes > 1000000) {
    reject(name, value, "a number of MiB from 0 (no limit) to 1000000");
  }
  return megabytes == 0 ? cache::kNoLimit : megabytes * kMiB;
}

double timeout(const Env::Getter& get, const char* name) {
  const std::string value = text(get, name);
  if (value.empty()) return Env().timeout_seconds;
  double seconds = 0;
  const char* const end = value.data() + value.size();
  // Not strtod, which reads by the locale; and from_chars alone would take "inf" and "-0".
  const bool plain = value.find_first_not_of("0123456789.") == std::string::npos;
  const auto [stop, error] = std::from_chars(value.data(), end, seconds, std::chars_format::fixed);
  const bool in_range = seconds == 0 || (seconds >= kMinTimeoutSeconds && seconds <= kMaxTimeoutSeconds);
  if (!plain || error != std::errc() || stop != end || !in_range) {
    reject(name, value, "a decimal number of seconds from 0.001 to 1000000, or 0 for no limit");
  }
  return seconds;
}

Env::Dump dump(const Env::Getter& get, const char* name) {
  const std::string value = text(get, name);
  Env::Dump result;
  for (std::size_t begin = 0; begin < value.size();) {
    const std::size_t end = std::min(value.find(',', begin), value.size());
    const std::string_view word = std::string_view(value).substr(begin, end - begin);
    if (word == "source") {
      result.source = true;
    } else if (word == "ptx") {
      result.ptx = true;
    } else if (word == "sass") {
      result.sass = true;
    } else if (word == "log") {
      result.log = true;
    } else {
      reject(name, value, "a comma list of source, ptx, sass and log, without blanks");
    }
    begin = end + 1;
  }
  return result;
}

/// `own` if set, else allnorm/ in the XDG folder, else in that folder's place under the home
/// directory, else empty. The XDG specification has relative paths ignored.
std::string user_directory(std::string own, const std::string& xdg, const std::string& home, const char* below_home) {
  if (!own.empty()) return own;
  if (is_absolute(xdg)) return xdg + "/allnorm";
  if (is_absolute(home)) return home + below_home + "/allnorm";
  return {};
}

/// Of any base and with blanks before it, as NCCL reads its variables.
bool is_zero(const std::string& value) {
  char* end = nullptr;
  return std::strtoll(value.c_str(), &end, 0) == 0 && end != value.c_str() && *end == '\0';
}

bool equals_any(std::string value, std::initializer_list<std::string_view> words) {
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(words.begin(), words.end(), value) != words.end();
}

/// Whoever wrote one of these meant the machine's multicast, not one library's: any spelling that
/// the variable's owner obeys counts, and other values are not ours to reject.
struct SiteVariable {
  const char* name;
  bool (*forbids)(const std::string& value);
};

constexpr SiteVariable kSiteVariables[] = {
    {"NCCL_NVLS_ENABLE", [](const std::string& v) { return is_zero(v) || equals_any(v, {"false", "off", "no"}); }},
    // NVSHMEM takes whatever is set for a yes, an empty text too, unless it begins like a no.
    {"NVSHMEM_DISABLE_NVLS",
     [](const std::string& v) { return v.empty() || std::string_view("0NnFf").find(v[0]) == std::string_view::npos; }},
    {"TORCH_SYMM_MEM_DISABLE_MULTICAST",
     [](const std::string& v) { return equals_any(v, {"1", "true", "on", "yes"}); }},
};

void read_site_variables(const Env::Getter& get, Env& env) {
  for (const SiteVariable& variable : kSiteVariables) {
    const char* value = get(variable.name);
    if (value == nullptr || env.multicast_forbidden || !variable.forbids(value)) continue;
    env.multicast_forbidden = true;
    env.multicast_forbidden_by = fmt::format("{}={}", variable.name, value);
  }
}

/// Nobody gains anything by these: they can only forbid.
bool is_site_variable(std::string_view name) {
  return std::any_of(std::begin(kSiteVariables), std::end(kSiteVariables),
                     [&](const SiteVariable& variable) { return name == variable.name; });
}

}  // namespace

std::span<const Env::Variable> Env::variables() noexcept { return kVariables; }

std::optional<cache::Mode> Env::parse_cache_mode(const std::string& text) noexcept {
  if (text == "normal") return cache::Mode::kNormal;
  if (text == "read-only") return cache::Mode::kReadOnly;
  if (text == "require-hit") return cache::Mode::kRequireHit;
  if (text == "off") return cache::Mode::kOff;
  return std::nullopt;
}

std::vector<std::string> Env::parse_folders(const char* name, const std::string& text) {
  std::vector<std::string> folders;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    std::string folder = text.substr(begin, end - begin);
    if (!is_absolute(folder)) reject(name, text, "absolute paths with colons between them");
    folders.push_back(std::move(folder));
    begin = end + 1;
  }
  return folders;
}

std::string Env::why_not_kept(const cache::CacheOptions& options) {
  switch (options.mode) {
    case cache::Mode::kOff: return "ALLNORM_CACHE=off";
    case cache::Mode::kReadOnly: return "ALLNORM_CACHE=read-only";
    case cache::Mode::kRequireHit: return "ALLNORM_CACHE=require-hit";
    case cache::Mode::kNormal: break;
  }
  return options.directory.empty() ? "none of ALLNORM_CACHE_DIR, XDG_CACHE_HOME and HOME says where to keep them" : "";
}

Env::Getter Env::process_getter() {
  return [](const char* name) -> const char* {
    return is_site_variable(name) ? std::getenv(name) : ::secure_getenv(name);
  };
}

Env Env::from_process() { return parse(process_getter()); }

Env Env::parse(const Getter& get) {
  Env env;
  const std::string home = text(get, "HOME");
  env.log_level = allnorm::log_level(get, "ALLNORM_LOG");
  env.device = device_choice(get, "ALLNORM_DEVICE");

  env.cache.mode = cache_mode(get, "ALLNORM_CACHE");
  env.cache.directory =
      user_directory(absolute_path(get, "ALLNORM_CACHE_DIR"), text(get, "XDG_CACHE_HOME"), home, "/.cache");
  env.cache.prebuilt_directories = parse_folders("ALLNORM_PREBUILT_DIRS", text(get, "ALLNORM_PREBUILT_DIRS"));
  env.cache.max_bytes = max_cache_bytes(get, "ALLNORM_CACHE_MAX_MB");
  env.cache.lock_directory =
      user_directory(absolute_path(get, "ALLNORM_LOCK_DIR"), text(get, "XDG_RUNTIME_DIR"), "", "");
  env.record_specs = absolute_path(get, "ALLNORM_RECORD_SPECS");
  env.config_dir =
      user_directory(absolute_path(get, "ALLNORM_CONFIG_DIR"), text(get, "XDG_CONFIG_HOME"), home, "/.config");

  env.table_path = text(get, "ALLNORM_TABLE");
  env.timeout_seconds = timeout(get, "ALLNORM_TIMEOUT_SECONDS");
  env.driver_path = path_or_name(get, "ALLNORM_DRIVER", "library");
  env.nvrtc_path = path_or_name(get, "ALLNORM_NVRTC", "library");
  env.cxx_path = path_or_name(get, "ALLNORM_CXX", "program");
  if (std::string path = text(get, "PATH"); !path.empty()) env.search_path = path;
  if (std::string folder = text(get, "TMPDIR"); is_absolute(folder)) env.temporary_dir = folder;
  env.meeting_dir = fmt::format("{}/allnorm-{}", env.temporary_dir, ::geteuid());
  env.kernel_dir = text(get, "ALLNORM_KERNEL_DIR");
  env.dump = allnorm::dump(get, "ALLNORM_DUMP");
  if (std::string folder = text(get, "ALLNORM_DUMP_DIR"); !folder.empty()) env.dump_dir = folder;

  env.checked = choice(get, "ALLNORM_CHECKED", "0", "1", false);
  env.multicast = choice(get, "ALLNORM_MULTICAST", "0", "1", false);
  read_site_variables(get, env);
  return env;
}

}  // namespace allnorm
