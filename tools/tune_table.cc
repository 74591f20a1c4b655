#include "tune_table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <system_error>

#include "command.h"
#include "directory_lock.h"
#include "warm_files.h"

namespace allnorm::tools {
namespace {

namespace fs = std::filesystem;

}  // namespace

std::string default_table_path(const std::string& config_dir, const std::string& device) {
  if (config_dir.empty()) {
    throw UsageError(
        "--output: not given, and there is no folder for the user's tables, as none of ALLNORM_CONFIG_DIR, "
        "XDG_CONFIG_HOME and HOME is set; name a file");
  }
  std::string name;
  for (const char c : device) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    name += is_plain ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : '-';
  }
  return fmt::format("{}/tables/{}.json", config_dir, name);
}

std::string driver_version_in(const std::string& text) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(R"(\s([0-9]{3,}\.[0-9]+(\.[0-9]+)?)\s)")) ? match[1].str() : "";
}

bool is_current(const Provenance& made, const Provenance& here) {
  const auto major = [](const std::string& version) { return version.substr(0, version.find('.')); };
  return made.kernel_digest == here.kernel_digest && made.nvrtc == here.nvrtc &&
         major(made.driver) == major(here.driver);
}

bool has_all_of(const Table& used, const Table& wanted) {
  const std::vector<TableKey> keys = wanted.keys();
  return std::all_of(keys.begin(), keys.end(), [&](const TableKey& key) {
    const auto own = wanted.lookup(key);
    const auto found = used.lookup(key);
    return found.size() >= own.size() && std::equal(own.begin(), own.end(), found.begin());
  });
}

TableFile::TableFile(std::string path, Provenance made_here, const char* flag)
    : path_(std::move(path)), made_here_(std::move(made_here)), flag_(flag), parts_{made_here_, {}, {}} {
  read();
}

void TableFile::read() {
  std::error_code error;
  if (!fs::exists(path_, error)) return;
  if (!fs::is_regular_file(path_, error)) refuse(flag_, fmt::format("\"{}\", no regular file,", path_), "a file");
  TableParts there = parts_of(read_table(flag_, path_));
  if (there.provenance.device != made_here_.device) {
    refuse(flag_, fmt::format("\"{}\", a table for {},", path_, there.provenance.device),
           fmt::format("one for {}, or a new file", made_here_.device));
  }
  const bool is_kept = is_current(there.provenance, made_here_);
  outdated_ = is_kept ? 0 : there.entries.size();
  if (is_kept) parts_ = std::move(there);
}

bool TableFile::has(const TableKey& key, std::int64_t max_tokens) const {
  const auto entry = parts_.entries.find(key);
  return entry != parts_.entries.end() && !parts_.unclear.contains(key) &&
         entry->second.back().max_tokens >= max_tokens;
}

Table TableFile::table() const { return Table::parse(to_json(parts_), path_); }

void TableFile::put(const TableKey& key, std::vector<TableBound> bounds, bool is_unclear) {
  check_writable();
  // If it cannot be had, the worst is that an entry of another run must be measured again.
  const DirectoryLock lock(folder());
  read();
  std::vector<TableBound>& own = parts_.entries[key];
  std::erase_if(own, [last = bounds.back().max_tokens](const TableBound& old) { return old.max_tokens <= last; });
  own.insert(own.begin(), bounds.begin(), bounds.end());
  parts_.unclear.erase(key);
  if (is_unclear) parts_.unclear.insert(key);
  parts_.provenance = made_here_;
  const std::string text = to_json(parts_);
  Table::parse(text, path_);  // throws: never leave a file that nobody can read
  write(text);
  outdated_ = 0;
}

void TableFile::check_writable() const {
  std::error_code error;
  fs::create_directories(folder(), error);
  if (access(folder().c_str(), W_OK) != 0) {
    throw UsageError(
        fmt::format("{}: \"{}\" cannot be written; name a file in a folder that you may write to", flag_, path_));
  }
}

void TableFile::write(const std::string& text) const {
  const std::string temporary = fmt::format("{}.{}.tmp", path_, getpid());
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::error_code error;
  if (file) {
    if (outdated_ > 0) keep_old();
    fs::rename(temporary, path_, error);
  }
  if (file && !error) return;
  std::error_code ignored;
  fs::remove(temporary, ignored);
  throw UsageError(fmt::format("{}: \"{}\" cannot be written{}", flag_, path_, error ? ": " + error.message() : ""));
}

/// Under both names until the new file takes its place.
void TableFile::keep_old() const {
  const std::string old = path_ + ".old";
  std::error_code error;
  fs::remove(old, error);
  fs::create_hard_link(path_, old, error);
  // Some file systems have no such links. If a copy fails too: better a new table than an old one.
  if (error) fs::copy_file(path_, old, fs::copy_options::overwrite_existing, error);
}

std::string TableFile::folder() const { return fs::absolute(path_).parent_path().string(); }

}  // namespace allnorm::tools
