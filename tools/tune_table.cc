#include "tune_table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <system_error>

#include "command.h"
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

TableFile::TableFile(std::string path, Provenance made_here, const char* flag)
    : path_(std::move(path)), flag_(flag), parts_{std::move(made_here), {}} {
  std::error_code error;
  if (!fs::exists(path_, error)) return;
  if (!fs::is_regular_file(path_, error)) refuse(flag_, fmt::format("\"{}\", no regular file,", path_), "a file");
  TableParts there = parts_of(read_table(flag_, path_));
  if (there.provenance.device != parts_.provenance.device) {
    refuse(flag_, fmt::format("\"{}\", a table for {},", path_, there.provenance.device),
           fmt::format("one for {}, or a new file", parts_.provenance.device));
  }
  if (there.provenance.kernel_digest != parts_.provenance.kernel_digest) {
    outdated_ = there.entries.size();
    return;
  }
  parts_.entries = std::move(there.entries);
}

Table TableFile::table() const { return Table::parse(to_json(parts_), path_); }

void TableFile::put(const TableKey& key, std::vector<TableBound> bounds) {
  parts_.entries[key] = std::move(bounds);
  const std::string text = to_json(parts_);
  Table::parse(text, path_);  // throws: never leave a file that nobody can read
  if (outdated_ > 0) {
    std::error_code error;
    fs::rename(path_, path_ + ".old", error);
    outdated_ = 0;
  }
  write(text);
}

void TableFile::check_writable() const {
  const fs::path folder = fs::absolute(path_).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (access(folder.c_str(), W_OK) != 0) {
    throw UsageError(
        fmt::format("{}: \"{}\" cannot be written; name a file in a folder that you may write to", flag_, path_));
  }
}

void TableFile::write(const std::string& text) const {
  check_writable();
  const std::string temporary = fmt::format("{}.{}.tmp", path_, getpid());
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::error_code error;
  if (file) fs::rename(temporary, path_, error);
  if (file && !error) return;
  std::error_code ignored;
  fs::remove(temporary, ignored);
  throw UsageError(fmt::format("{}: \"{}\" cannot be written{}", flag_, path_, error ? ": " + error.message() : ""));
}

}  // namespace allnorm::tools
