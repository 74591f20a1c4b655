#include "warm_request.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "allnorm/error.h"
#include "dispatch/geometry.h"
#include "jit/embedded.h"
#include "lists.h"
#include "spec_options.h"
#include "warm_files.h"

namespace allnorm::tools {
namespace {

/// What takes some seconds to enumerate; more is a slip of the hand.
constexpr std::size_t kMaxKinds = 20000;
/// Every count up to the limit is asked for.
constexpr std::int64_t kMaxTokens = 1 << 20;
constexpr int kMaxMultiprocessors = 1024;

/// Each kind once for each of its values.
template <typename ValuesOf, typename Set>
std::vector<Spec> expand(const std::vector<Spec>& kinds, ValuesOf values_of, Set set) {
  std::vector<Spec> more;
  for (const Spec& kind : kinds) {
    for (const auto value : values_of(kind)) {
      set(more.emplace_back(kind), value);
      if (more.size() > kMaxKinds) {
        throw UsageError(
            fmt::format("the flags together give more than {} combinations; give fewer values", kMaxKinds));
      }
    }
  }
  return more;
}

template <typename Value>
bool contains(const std::vector<Value>& values, Value value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

/// A Spec of the kind, for check_spec.
Spec with_default_geometry(Spec kind) {
  kind.geometry = default_geometry(kind.hidden_dim, kind.dtype, 1, kind.world_size, 1);
  return kind;
}

std::vector<std::optional<Table>> known_tables() {
  std::vector<std::optional<Table>> tables = {std::nullopt};
  for (const EmbeddedFile& file : embedded_tuned_tables()) {
    tables.emplace_back(Table::parse(file.text, std::string(file.name)));
  }
  return tables;
}

}  // namespace

WarmRequest::WarmRequest(CLI::App& app) {
  add_kind_flags(app);
  add_token_flags(app);
  app.add_option("--table", table_, "A tuned table: all that AUTO can choose with it, for each of its entries")
      ->type_name("FILE");
  app.add_option("--manifest", manifest_,
                 "Kernels from a manifest, or from a file that a program recorded with ALLNORM_RECORD_SPECS; --arch "
                 "puts other targets in place of theirs")
      ->type_name("FILE");
}

void WarmRequest::add_kind_flags(CLI::App& app) {
  const auto kind = [&](CLI::Option* option) { kind_options_.push_back(option); };
  const auto other = [&](CLI::Option* option) { other_options_.push_back(option); };
  targets_option_ = add_names(app, "--arch,--target", targets_, kTargets, "GPUs to compile for, default sm_90a");
  kind(add_integers(app, "--world", worlds_, 1, kMaxWorldSize, "Ranks, default 2"));
  kind(add_integers(app, "--hidden", hidden_dims_, 1, kMaxHiddenDim, "Elements of a row, default 7168"));
  kind(add_names(app, "--dtype", dtypes_, kRowDataTypes, "Elements of rows, default bf16"));
  other(add_names(app, "--gamma-dtype", gamma_dtypes_, kRowDataTypes, "Elements of gamma, the dtype (default) or f32"));
  kind(add_names(app, "--quant", quants_, kQuants, "Quantization, default none"));
  other(add_names(app, "--layout", layouts_, kLayouts, "Of nvfp4's scales, default swizzled_128x4"));
  kind(add_names(app, "--strategy", strategies_, kStrategies, "Default auto: all that AUTO can choose"));
  kind(add_names(app, "--transport", transports_, kTransports, "Default unicast"));
  kind(add_names(app, "--operation", operations_, kOperations,
                 "Default fused; checked mode also needs compare_calls, and multicast test_multicast"));
  other(add_list(
      app, "--pdl", pdls_, [](const std::string& text) { return parse_pdl_flag(text); },
      "Programmatic dependent launch: off, early, late; default off,early, with early for callers that "
      "launch with it"));
  other(app.add_flag("--no-output", no_output_, "Calls do not want the normalised rows"));
  other(app.add_flag("--no-residual-out", no_residual_out_, "Calls do not want the sum with the residual"));
  other(app.add_flag("--zero-scale-padding", zero_scale_padding_, "Calls want the padding of swizzled scales zeroed"));
  kind(add_list(
      app, "--geometry", geometries_, [](const std::string& text) { return parse_geometry(text); },
      "CTAs a row x warps a CTA x chunks a warp, such as 4x7x1; default: all that calls can choose"));
}

void WarmRequest::add_token_flags(CLI::App& app) {
  const auto add = [&](const char* flag, std::optional<std::int64_t>& value, std::int64_t least, const char* help) {
    other_options_.push_back(add_integer(app, flag, value, least, kMaxTokens, help));
  };
  add("--max-tokens", max_tokens_, 1, "The most tokens of a call, default 4096");
  add("--max-tokens-one-shot", max_tokens_one_shot_, 0,
      "What the workspaces hold, as WorkspaceOptions say it; default: workspaces of any size");
  add("--max-tokens-two-shot", max_tokens_two_shot_, 0, "The same for two-shot calls");
  other_options_.push_back(add_integers(app, "--multiprocessors", multiprocessors_, 1, kMaxMultiprocessors,
                                        "Of the GPUs, default: those of all known GPUs of the target"));
}

bool WarmRequest::is_given() const {
  const auto given = [](const CLI::Option* option) { return option->count() > 0; };
  return targets_given() || !table_.empty() || !manifest_.empty() ||
         std::any_of(kind_options_.begin(), kind_options_.end(), given) ||
         std::any_of(other_options_.begin(), other_options_.end(), given);
}

void WarmRequest::check_flags() const {
  const auto refuse_all = [](const std::vector<CLI::Option*>& options, const std::string& with, const char* why) {
    for (const CLI::Option* option : options) {
      if (option->count() > 0)
        throw UsageError(fmt::format("{}: given with {}, which {}", option->get_name(), with, why));
    }
  };
  if (!table_.empty() && !manifest_.empty())
    throw UsageError("--table: given with --manifest, allowed: one of the two");
  if (!table_.empty()) refuse_all(kind_options_, "--table", "says that itself");
  if (!manifest_.empty()) {
    refuse_all(kind_options_, "--manifest", "says that itself");
    refuse_all(other_options_, "--manifest", "says that itself");
  }
  if (!table_.empty()) return;
  if (no_output_ && !contains(operations_, Operation::kFused)) {
    refuse("--no-output", "with --operation all_reduce", "with --operation fused");
  }
  if (zero_scale_padding_ && !(contains(quants_, Quant::kNvfp4) && contains(layouts_, ScaleLayout::kSwizzled128x4))) {
    refuse("--zero-scale-padding", "without nvfp4 and swizzled_128x4",
           "with --quant nvfp4 and --layout swizzled_128x4");
  }
}

AutoQuestion WarmRequest::question(Strategy strategy) const {
  AutoQuestion question = {strategy, max_tokens_, std::nullopt, multiprocessors_};
  if (!max_tokens_one_shot_ && !max_tokens_two_shot_) return question;
  question.capacity = TokenCapacity{max_tokens_one_shot_.value_or(0), max_tokens_two_shot_.value_or(0)};
  const std::int64_t most = std::max(question.capacity->one_shot, question.capacity->two_shot);
  if (most == 0) refuse("--max-tokens-one-shot", "0 for both strategies", "more than 0 for one of them");
  question.max_tokens = std::min(max_tokens_.value_or(most), most);
  return question;
}

std::vector<Spec> WarmRequest::kinds_of_flags() const {
  std::vector<Spec> kinds(1);
  const auto each = [&kinds](const auto& values, auto set) {
    kinds = expand(kinds, [&](const Spec&) { return values; }, set);
  };
  each(operations_, [](Spec& spec, Operation operation) { spec.operation = operation; });
  each(worlds_, [](Spec& spec, int world) { spec.world_size = static_cast<std::uint8_t>(world); });
  each(hidden_dims_, [](Spec& spec, int hidden_dim) { spec.hidden_dim = hidden_dim; });
  each(dtypes_, [](Spec& spec, DataType dtype) { spec.dtype = dtype; });
  each(quants_, [](Spec& spec, Quant quant) { spec.quant = quant; });
  each(transports_, [](Spec& spec, Transport transport) { spec.transport = transport; });
  return with_variants(std::move(kinds));
}

std::vector<Spec> WarmRequest::kinds_of_table(const std::optional<Table>& table) const {
  std::vector<Spec> kinds;
  if (!table) return kinds;
  for (const TableKey& key : table->keys()) {
    Spec& kind = kinds.emplace_back();
    kind.operation = key.operation;
    kind.transport = key.transport;
    kind.quant = key.quant;
    kind.dtype = key.dtype;
    kind.world_size = static_cast<std::uint8_t>(key.world_size);
    kind.hidden_dim = key.hidden_dim;
  }
  return with_variants(std::move(kinds));
}

/// What a plain all-reduce and rows without nvfp4 scales have no choice of is as their calls have it.
std::vector<Spec> WarmRequest::with_variants(std::vector<Spec> kinds) const {
  for (Spec& kind : kinds) {
    const bool fused = kind.operation == Operation::kFused;
    kind.has_output = !fused || !no_output_;
    kind.has_residual_out = fused && !no_residual_out_;
  }
  kinds =
      expand(kinds, [this](const Spec&) { return targets_; }, [](Spec& spec, Target target) { spec.target = target; });
  kinds = expand(
      kinds,
      [this](const Spec& spec) {
        const bool chosen = spec.operation == Operation::kFused && !gamma_dtypes_.empty();
        return chosen ? gamma_dtypes_ : std::vector{spec.dtype};
      },
      [](Spec& spec, DataType dtype) { spec.gamma_dtype = dtype; });
  kinds = expand(
      kinds,
      [this](const Spec& spec) { return spec.quant == Quant::kNvfp4 ? layouts_ : std::vector{ScaleLayout::kLinear}; },
      [this](Spec& spec, ScaleLayout layout) {
        spec.layout = layout;
        spec.zero_scale_padding = zero_scale_padding_ && layout == ScaleLayout::kSwizzled128x4;
      });
  return expand(kinds, [this](const Spec&) { return pdls_; }, [](Spec& spec, Pdl pdl) { spec.pdl = pdl; });
}

std::vector<Spec> WarmRequest::specs_of(const Spec& kind, const std::vector<std::optional<Table>>& tables) const {
  std::vector<Spec> specs;
  for (const Strategy strategy : strategies_) {
    if (strategy != Strategy::kAuto && !geometries_.empty()) {
      specs.push_back(kind);
      specs.back().strategy = strategy;
      continue;
    }
    for (const std::optional<Table>& table : tables) {
      const std::vector<Spec> more = auto_specs(kind, table, question(strategy));
      specs.insert(specs.end(), more.begin(), more.end());
    }
  }
  if (geometries_.empty()) return specs;
  return expand(
      specs, [this](const Spec&) { return geometries_; },
      [](Spec& spec, const Geometry& geometry) { spec.geometry = geometry; });
}

Wanted WarmRequest::wanted_of_kinds() const {
  std::vector<std::optional<Table>> tables;
  if (table_.empty()) {
    tables = known_tables();
  } else {
    tables.emplace_back(read_table("--table", table_));
  }
  Wanted wanted;
  std::unordered_set<Spec, SpecHash> known;
  const auto exists = [&](const Spec& spec) {
    try {
      check_spec(spec);
      return true;
    } catch (const Error& error) {
      if (wanted.dropped++ == 0) wanted.first_dropped = name_flag(error.what());
      return false;
    }
  };
  const auto want = [&](const Spec& spec) {
    if (known.insert(spec).second && exists(spec)) wanted.specs.push_back(spec);
  };
  for (const Spec& kind : table_.empty() ? kinds_of_flags() : kinds_of_table(tables.front())) {
    if (is_helper(kind.operation)) {
      want(helper_spec(kind.operation, kind.target, kind.world_size));
      continue;
    }
    if (!exists(with_default_geometry(kind))) continue;
    for (const Spec& spec : specs_of(kind, tables)) want(spec);
  }
  if (wanted.specs.empty()) {
    throw UsageError(wanted.dropped == 0 ? "--table: no entries in " + table_ : wanted.first_dropped);
  }
  return wanted;
}

Wanted WarmRequest::wanted_of_manifest() const {
  std::vector<Spec> specs = read_specs("--manifest", manifest_).specs;
  if (targets_given()) {
    specs = expand(
        specs, [this](const Spec&) { return targets_; }, [](Spec& spec, Target target) { spec.target = target; });
  }
  Wanted wanted;
  std::unordered_set<Spec, SpecHash> known;
  for (const Spec& spec : specs) {
    if (known.insert(spec).second) wanted.specs.push_back(spec);
  }
  if (wanted.specs.empty()) throw UsageError("--manifest: no kernels in " + manifest_);
  return wanted;
}

Wanted WarmRequest::wanted() const {
  check_flags();
  return manifest_.empty() ? wanted_of_kinds() : wanted_of_manifest();
}

}  // namespace allnorm::tools
