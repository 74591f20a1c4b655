// The text of a tuned table: what Table::parse reads, written.
//
// Thread safety: free functions without state.
#ifndef ALLNORM_DISPATCH_TABLE_TEXT_H_
#define ALLNORM_DISPATCH_TABLE_TEXT_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "dispatch/table.h"

namespace allnorm {

/// What a table is made of, to be changed.
struct TableParts {
  Provenance provenance;
  std::map<TableKey, std::vector<TableBound>> entries;
  std::set<TableKey> unclear{};  ///< Of the entries.
};

TableParts parts_of(const Table& table);
/// JSON that Table::parse takes.
std::string to_json(const TableParts& parts);

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_TABLE_TEXT_H_
