// In what two keys differ: field by field, the Spec word by word.
//
// Value types, and functions without state.
#ifndef ALLNORM_TOOLS_KEY_DIFFERENCE_H_
#define ALLNORM_TOOLS_KEY_DIFFERENCE_H_

#include <string>
#include <vector>

#include "cache/key.h"

namespace allnorm::tools {

struct FieldDifference {
  std::string field;    ///< "sources"; of the Spec, "spec hidden_dim".
  std::string here;     ///< Empty where this key does not have it.
  std::string there;    ///< The same.
  std::string meaning;  ///< What such a difference comes from; empty where the values say it.

  /// "sources: 3fa2.. here, 77b1.. there (other kernel sources: another version)"
  std::string to_string() const;
};

/// In the order of `here`'s fields, then those of `there` alone.
std::vector<FieldDifference> differences(const cache::Key::Fields& here, const cache::Key::Fields& there);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_KEY_DIFFERENCE_H_
