#include "dispatch/table_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
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

  bool done() const { return found.table.has_value(); }

  /// The file is meant for this run, so a mistake in it must not go unnoticed.
  void try_named(const std::string& path, const std::string& source) {
    if (done() || path.empty()) return;
    try_text(read_text(path), path, source, found.warnings);
  }

  void try_folder(const std::string& folder) {
    if (done() || folder.empty()) return;
    for (const std::string& path : tables_in(folder)) {
      if (done()) return;
      try {
        // One folder may serve machines with other GPUs: that is nothing to warn about.
        try_text(read_text(path), path, path, found.notes);
      } catch (const Error& error) {
        found.warnings.push_back(fmt::format("table skipped: {}", error.what()));
      }
    }
  }

  void try_embedded(const EmbeddedFile& embedded) {
    if (done()) return;
    const std::string name(embedded.name);
    try_text(std::string(embedded.text), name, fmt::format("built in: {}", name), found.notes);
  }

  FoundTable found;

 private:
  void try_text(std::string text, const std::string& file, const std::string& source,
                std::vector<std::string>& passed_over) {
    Table table = Table::parse(text, file);
    const Provenance& made = table.provenance();
    if (made.device != device_) {
      passed_over.push_back(
          fmt::format("{}: not used, as it is for {} and this GPU is {}", file, printable(made.device), device_));
      return;
    }
    if (made.kernel_digest != kernel_digest_) {
      found.warnings.push_back(
          fmt::format("{}: made on {} for other kernels (digest {}, now {}); it is used, but may "
                      "not be the best; run 'allnorm tune'",
                      file, made.date, printable(made.kernel_digest), kernel_digest_));
    }
    found.table = std::move(table);
    found.source = source;
    found.text = std::move(text);
  }

  std::vector<std::string> tables_in(const std::string& folder) {
    std::vector<std::string> paths;
    std::error_code error;
    fs::directory_iterator it(folder, error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
      if (it->path().extension() == ".json") paths.push_back(it->path().string());
    }
    if (error && error != std::errc::no_such_file_or_directory) {
      found.warnings.push_back(fmt::format("{}: tables cannot be listed: {}", folder, error.message()));
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  const std::string& device_;
  const std::string& kernel_digest_;
};

}  // namespace

FoundTable find_table(const TablePlaces& places, const std::string& device, const std::string& kernel_digest) {
  Search search(device, kernel_digest);
  search.try_named(places.option_path, places.option_path);
  search.try_named(places.environment_path, fmt::format("{} (ALLNORM_TABLE)", places.environment_path));
  search.try_folder(places.user_folder);
  for (const EmbeddedFile& embedded : places.embedded) search.try_embedded(embedded);
  return std::move(search.found);
}

}  // namespace allnorm
