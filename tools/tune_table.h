// The file of a tuned table: where it lies, what it has for this machine already, and how an entry is added to it.
#ifndef ALLNORM_TOOLS_TUNE_TABLE_H_
#define ALLNORM_TOOLS_TUNE_TABLE_H_

#include <string>
#include <vector>

#include "dispatch/table_text.h"

namespace allnorm::tools {

/// "NVIDIA H200" -> CONFIG/tables/nvidia-h200.json. Throws UsageError where there is no config_dir.
std::string default_table_path(const std::string& config_dir, const std::string& device);

/// The version in what /proc/driver/nvidia/version says: "580.95.05"; empty if there is none.
std::string driver_version_in(const std::string& text);

/// Used by one thread, of rank 0 alone.
class TableFile {
 public:
  /// Reads what is there. Throws UsageError, which names the flag, if that is no table, or one of another device.
  /// Entries made for other kernels are left out, and with them the file is renamed to PATH.old when the first new one
  /// is written.
  TableFile(std::string path, Provenance made_here, const char* flag = "--output");

  const std::string& path() const noexcept { return path_; }
  bool has(const TableKey& key) const { return parts_.entries.contains(key); }
  std::size_t outdated() const noexcept { return outdated_; }
  Table table() const;

  /// Writes at once, in a way that a reader finds the old file or the new one. Throws UsageError, which names the flag.
  void put(const TableKey& key, std::vector<TableBound> bounds);
  /// Whether put() could write: better known before than after the measuring. Throws as it does.
  void check_writable() const;

 private:
  void write(const std::string& text) const;

  std::string path_;
  const char* flag_;
  TableParts parts_;
  std::size_t outdated_ = 0;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_TABLE_H_
