// Which kernels `allnorm warm` is asked for: flags with lists and ranges, a tuned table, or a file of Specs.
#ifndef ALLNORM_TOOLS_WARM_REQUEST_H_
#define ALLNORM_TOOLS_WARM_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dispatch/auto_specs.h"
#include "dispatch/spec.h"
#include "options.h"

namespace allnorm::tools {

struct Wanted {
  std::vector<Spec> specs;    ///< Each once.
  std::size_t dropped = 0;    ///< Combinations of the flags that no kernel exists for.
  std::string first_dropped;  ///< Why the first of them was dropped.
};

/// Declares the flags on an App, and must outlive its parsing.
class WarmRequest {
 public:
  explicit WarmRequest(CLI::App& app);

  /// Throws UsageError, also where nothing is left.
  Wanted wanted() const;

  /// Whether any of the flags was given, so that kernels were asked for by name.
  bool is_given() const;
  const std::string& manifest() const noexcept { return manifest_; }
  bool targets_given() const { return targets_option_->count() > 0; }

 private:
  void add_kind_flags(CLI::App& app);
  void add_token_flags(CLI::App& app);
  void check_flags() const;
  AutoQuestion question(Strategy strategy) const;
  std::vector<Spec> kinds_of_flags() const;
  std::vector<Spec> kinds_of_table(const std::optional<Table>& table) const;
  std::vector<Spec> with_variants(std::vector<Spec> kinds) const;
  std::vector<Spec> specs_of(const Spec& kind, const std::vector<std::optional<Table>>& tables) const;
  Wanted wanted_of_kinds() const;
  Wanted wanted_of_manifest() const;

  std::vector<Target> targets_ = {Target::kSm90a};
  std::vector<int> worlds_ = {2};
  std::vector<int> hidden_dims_ = {7168};
  std::vector<DataType> dtypes_ = {DataType::kBF16};
  std::vector<DataType> gamma_dtypes_;
  std::vector<Quant> quants_ = {Quant::kNone};
  std::vector<ScaleLayout> layouts_ = {ScaleLayout::kSwizzled128x4};
  std::vector<Strategy> strategies_ = {Strategy::kAuto};
  std::vector<Transport> transports_ = {Transport::kUnicast};
  std::vector<Operation> operations_ = {Operation::kFused};
  std::vector<Pdl> pdls_ = {Pdl::kOff, Pdl::kEarlyTrigger};
  std::vector<Geometry> geometries_;
  bool no_output_ = false;
  bool no_residual_out_ = false;
  bool zero_scale_padding_ = false;
  std::optional<std::int64_t> max_tokens_;
  std::optional<std::int64_t> max_tokens_one_shot_;
  std::optional<std::int64_t> max_tokens_two_shot_;
  std::vector<int> multiprocessors_;
  std::string table_;
  std::string manifest_;

  CLI::Option* targets_option_ = nullptr;
  std::vector<CLI::Option*> kind_options_;   ///< A table says these itself.
  std::vector<CLI::Option*> other_options_;  ///< A file of Specs says these as well.
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_WARM_REQUEST_H_
