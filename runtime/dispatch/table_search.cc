#include "dispatch/table_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "allnorm/error.h"
#include "dispatch/json_tree.h"

namespace allnorm {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw Error(ErrorCode::kInvalidTable, fmt::format("{}: {}", path, message));
}

std::string read_text(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) fail(path, "no such file");
  if (error) fail(path, fmt::format("cannot be read: {}", error.message()));
  if (!fs::is_regular_file(status)) fail(path, "not a regular file");  // A pipe would block.

  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path, "cannot be opened");
  // One byte more than allowed: the parser then says that it is too much.
  std::string text(kMaxJsonBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) fail(path, "cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

class Search {
 public:
  Search(const std::string& device, const std::string& kernel_digest)
      : device_(device), kernel_digest_(kernel_digest) {}

  /// The file is meant for this run, so a mistake in it must not go unnoticed, nor another table come before it.
  void try_named(const std::string& path, const std::string& source) {
    if (!path.empty()) try_text(read_text(path), path, source, found_.warnings, true);
  }

  void try_folder(const std::string& folder) {
    if (folder.empty()) return;
    for (const std::string& path : tables_in(folder)) {
      try {
        // One folder may serve machines with other GPUs: that is nothing to warn about.
        try_text(read_text(path), path, path, found_.notes, false);
      } catch (const Error& error) {
        found_.warnings.push_back(fmt::format("table skipped: {}", error.what()));
      }
    }
  }

  void try_embedded(const EmbeddedFile& embedded) {
    const std::string name(embedded.name);
    try_text(embedded.text, name, fmt::format("built in: {}", name), found_.notes, false);
  }

  FoundTable merge() {
    for (const Turn turn : {Turn::kNamed, Turn::kCurrent, Turn::kStale}) {
      for (const Usable& one : usable_) {
        if (one.turn == turn) merge(one);
      }
    }
    return std::move(found_);
  }

 private:
  enum class Turn : std::uint8_t { kNamed, kCurrent, kStale };
  struct Usable {
    Turn turn;
    Table table;
    std::string file;
    std::string source;
  };

  bool is_stale(const Table& table) const { return table.provenance().kernel_digest != kernel_digest_; }

  void try_text(std::string_view text, const std::string& file, const std::string& source,
                std::vector<std::string>& passed_over, bool is_named) {
    Table table = Table::parse(text, file);
    if (const std::string& made_for = table.provenance().device; made_for != device_) {
      passed_over.push_back(
          fmt::format("{}: not used, as it is for {} and this GPU is {}", file, printable(made_for), device_));
      return;
    }
    const Turn turn = is_named ? Turn::kNamed : is_stale(table) ? Turn::kStale : Turn::kCurrent;
    usable_.push_back({turn, std::move(table), file, source});
  }

  void merge(const Usable& one) {
    const Provenance& made = one.table.provenance();
    std::size_t entries = one.table.entry_count();
    if (!found_.table) {
      found_.table = one.table;
    } else {
      entries = found_.table->add_missing(one.table);
      if (entries == 0) {
        found_.notes.push_back(fmt::format("{}: not used, as others before it have all of its entries", one.file));
        return;
      }
    }
    found_.sources.push_back({one.source, made, entries});
    if (!is_stale(one.table)) return;
    found_.warnings.push_back(
        fmt::format("{}: made on {} for other kernels (digest {}, now {}); it is used, but may "
                    "not be the best; run 'allnorm tune'",
                    one.file, made.date, printable(made.kernel_digest), kernel_digest_));
  }

  std::vector<std::string> tables_in(const std::string& folder) {
    std::vector<std::string> paths;
    std::error_code error;
    fs::directory_iterator it(folder, error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
      if (it->path().extension() == ".json") paths.push_back(it->path().string());
    }
    if (error && error != std::errc::no_such_file_or_directory) {
      found_.warnings.push_back(fmt::format("{}: tables cannot be listed: {}", folder, error.message()));
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  const std::string& device_;
  const std::string& kernel_digest_;
  std::vector<Usable> usable_;
  FoundTable found_;
};

}  // namespace

std::string FoundTable::source() const {
  std::string all;
  for (const TableSource& one : sources) all += (all.empty() ? "" : ", ") + one.words;
  return all;
}

FoundTable find_table(const TablePlaces& places, const std::string& device, const std::string& kernel_digest) {
  Search search(device, kernel_digest);
  search.try_named(places.option_path, places.option_path);
  search.try_named(places.environment_path, fmt::format("{} (ALLNORM_TABLE)", places.environment_path));
  search.try_folder(places.user_folder);
  for (const EmbeddedFile& embedded : places.embedded) search.try_embedded(embedded);
  return search.merge();
}

}  // namespace allnorm
