// What the subcommands of `allnorm cache` share: their directory, and how they print.
#ifndef ALLNORM_TOOLS_CACHE_COMMAND_H_
#define ALLNORM_TOOLS_CACHE_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cache_contents.h"
#include "command.h"
#include "env/env.h"

namespace allnorm::tools {

Run add_cache_list(CLI::App& app);
Run add_cache_stat(CLI::App& app);
Run add_cache_verify(CLI::App& app);
Run add_cache_prune(CLI::App& app);
Run add_cache_extract(CLI::App& app);
Run add_cache_explain(CLI::App& app);

/// Declares --directory, into the variable.
void add_directory(CLI::App& app, std::string& directory);

/// The directory that was given, or the user's cache. Throws UsageError if what was given is no directory, and
/// kInvalidEnvironment if there is no user's cache.
CachePlace place_of(const Env& env, const std::string& given);
/// "/home/a/.cache/allnorm", and that it does not exist yet if so.
std::string describe(const CachePlace& place);

/// "normal", "read-only", "require-hit", "off".
const char* to_string(cache::Mode mode) noexcept;

/// Text from files or about them, of any length, with nothing that a terminal could act on.
std::string plain(std::string_view text);
/// "1 kernel", "2 kernels".
std::string count(std::size_t number, const char* noun);
/// "<1 min", "12 min", "5 h", "3 days": the time since then.
std::string format_age(std::int64_t since);
/// The first digits of a key: enough to name it.
std::string short_key(const std::string& key);

/// What could not be read, to stderr.
void print_reasons(const std::vector<std::string>& reasons);
/// In ASCII alone, whatever files hold.
void print_json(const nlohmann::ordered_json& json);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_CACHE_COMMAND_H_
