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

/// Whether entries made like this belong beside those that are made here: for the same kernels, with the same NVRTC,
/// under a driver of the same major version. (On the same device, too; that is for others to see.)
bool is_current(const Provenance& made, const Provenance& here);

/// Whether calls that go by `used` get what the entries of `wanted` say.
bool has_all_of(const Table& used, const Table& wanted);

/// Used by one thread, of rank 0 alone.
class TableFile {
 public:
  /// Reads what is there. Throws UsageError, which names the flag, if that is no table, or one of another device.
  /// Entries that are not current are left out, and the file that has them is kept as PATH.old when the first new one
  /// is written.
  TableFile(std::string path, Provenance made_here, const char* flag = "--output");

  const std::string& path() const noexcept { return path_; }
  /// An entry that is clear, for calls of so many tokens.
  bool has(const TableKey& key, std::int64_t max_tokens) const;
  std::size_t outdated() const noexcept { return outdated_; }
  Table table() const;

  /// Writes at once, in a way that a reader finds the old file or the new one, whoever is killed, and beside what other
  /// runs have put there meanwhile. Of an entry that is there, the bounds above the new ones stay. Throws UsageError,
  /// which names the flag.
  void put(const TableKey& key, std::vector<TableBound> bounds, bool is_unclear = false);
  /// Whether put() could write: better known before than after the measuring. Throws as it does.
  void check_writable() const;

 private:
  void read();
  void write(const std::string& text) const;
  void keep_old() const;
  std::string folder() const;

  std::string path_;
  Provenance made_here_;
  const char* flag_;
  TableParts parts_;  ///< With the provenance of the file, until something is put there.
  std::size_t outdated_ = 0;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_TUNE_TABLE_H_
