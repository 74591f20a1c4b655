// Finds the tuned table of this GPU: the named file, the user's folder, the tables built in.
//
// Thread safety: stateless; reads files and changes nothing.
#ifndef ALLNORM_DISPATCH_TABLE_SEARCH_H_
#define ALLNORM_DISPATCH_TABLE_SEARCH_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
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

struct FoundTable {
  std::optional<Table> table;         ///< None: the cost model decides.
  std::string source;                 ///< Where it is from, in words; empty without a table.
  std::string text;                   ///< Its JSON, for ranks that must use the same table.
  std::vector<std::string> warnings;  ///< What the user should change.
  std::vector<std::string> notes;     ///< What was passed over, as it should be.
};

/// The first table made on a GPU named `device`. One made for kernels other than `kernel_digest` is
/// used, with a warning. A broken file in the user's folder is a warning; a file that was named and
/// cannot be read or parsed throws kInvalidTable.
FoundTable find_table(const TablePlaces& places, const std::string& device, const std::string& kernel_digest);

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_TABLE_SEARCH_H_
