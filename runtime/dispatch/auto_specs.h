// AutoSpecs: every kernel that a kind of call can need, whatever its number of tokens: for compiling beforehand, on a
// machine that has neither the GPU nor the workspace. It asks the Dispatcher, as calls do.
//
// Thread safety: free functions without state.
#ifndef ALLNORM_DISPATCH_AUTO_SPECS_H_
#define ALLNORM_DISPATCH_AUTO_SPECS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dispatch/dispatcher.h"
#include "dispatch/spec.h"
#include "dispatch/table.h"

namespace allnorm {

struct AutoQuestion {
  static constexpr std::int64_t kDefaultMaxTokens = 4096;

  Strategy requested = Strategy::kAuto;
  /// The most tokens of a call. None: kDefaultMaxTokens, and beyond it what the table has bounds for.
  std::optional<std::int64_t> max_tokens{};
  /// Of the workspaces. None: any, also those that hold calls with one strategy only.
  std::optional<TokenCapacity> capacity{};
  /// Of the GPUs; empty: those that GPUs of the target have.
  std::vector<int> multiprocessors{};
};

/// Multiprocessors of the GPUs of a target, as far as they are known.
std::span<const int> known_multiprocessors(Target target) noexcept;

/// The Specs that calls of this kind can need, each once, in the order of their tokens. Strategy and geometry of `kind`
/// are of no account; the rest must be as check_spec allows.
std::vector<Spec> auto_specs(const Spec& kind, const std::optional<Table>& table, const AutoQuestion& question);

}  // namespace allnorm

#endif  // ALLNORM_DISPATCH_AUTO_SPECS_H_
