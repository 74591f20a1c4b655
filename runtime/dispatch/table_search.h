// Finds the tuned table of this GPU, in the named file, the user's folder and the tables built in.
//
// Thread safety: stateless; reads files and changes nothing.
#ifndef ALLNORM_DISPATCH_TABLE_SEARCH_H_
#define ALLNORM_DISPATCH_TABLE_SEARCH_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dispatch/table.h"
#include "jit/embedded.h"

namespace allnorm {

/// Where to look, in this order. Empty: not there.
struct TablePlaces {
  std::string option_path;       ///< A file that the program named.
  std::string environment_path;  ///< A file that ALLNORM_TABLE names.
  std::string user_folder;       ///< Its *.json files, in the order of their names.
  std::span<const EmbeddedFile> embedded;
};

/// A table that the one found is made of.
struct TableSource {
  std::string words;  ///< Where it is from.
  Provenance made;
  std::size_t entries = 0;  ///< That it gave, wholly or above the bounds of others.
};

struct FoundTable {
  std::optional<Table> table;  ///< None: the cost model decides. Its provenance is that of the first source.
  std::vector<TableSource> sources;
  std::vector<std::string> warnings;  ///< What the user should change.
  std::vector<std::string> notes;     ///< What was passed over, as it should be.

  /// "a.json, built in: b.json"; empty without a table.
  std::string source() const;
};

/// All tables made on a GPU named `device`, as one: for each kind of call the entry of the first that has it. Files
/// that were named come first, then tables made for the kernels of `kernel_digest`, then those made for others, which
/// are used with a warning. A broken file in the user's folder is a warning; a file that was named and cannot be read
/// or parsed throws kInvalidTable.
FoundTable find_table(const TablePlaces& places, const std::string& device, const std::string& kernel_digest);

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_TABLE_SEARCH_H_
