// The calls: check the arguments, choose a strategy, find the Plan, launch.
#include "allnorm/fused.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "api/call_spec.h"
#include "api/validate.h"
#include "comm/compared_call.h"
#include "comm/workspace_impl.h"

namespace allnorm {
namespace {

/// The machine epsilon of T.
float default_epsilon(DataType dtype) {
  switch (dtype) {
    case DataType::kF16: return 0x1p-10f;
    case DataType::kBF16: return 0x1p-7f;
    default: return 0x1p-23f;
  }
}

Pdl pdl_of(const Workspace::Impl& workspace, bool asked, PdlTrigger trigger) {
  // Virtual ranks share a GPU: a kernel that starts early could take the room that a peer needs (rule 7).
  if (!asked || workspace.ranks_on_device > 1) return Pdl::kOff;
  return trigger == PdlTrigger::kLate ? Pdl::kLateTrigger : Pdl::kEarlyTrigger;
}

/// What both calls have in common of a Spec; strategy and geometry are still to be chosen.
Spec base_spec(const Workspace::Impl& workspace, const Tensor& input, bool pdl, PdlTrigger trigger) {
  Spec spec;
  spec.target = workspace.device().target();
  spec.transport = workspace.transport();
  spec.dtype = spec.gamma_dtype = input.dtype;
  spec.pdl = pdl_of(workspace, pdl, trigger);
  spec.world_size = static_cast<std::uint8_t>(workspace.world_size);
  spec.hidden_dim = static_cast<std::int32_t>(input.columns);
  return spec;
}

}  // namespace

Spec spec_of(const Workspace::Impl& workspace, const FusedCall& call) {
  Spec spec = base_spec(workspace, call.input, call.launch_with_pdl, call.pdl_trigger);
  spec.operation = Operation::kFused;
  spec.gamma_dtype = call.gamma.dtype;
  spec.quant = call.quant;
  spec.has_output = call.output.data != nullptr;
  spec.has_residual_out = call.residual_out.data != nullptr;
  if (call.quant == Quant::kNvfp4) {
    spec.layout = call.layout;
    spec.zero_scale_padding = call.zero_scale_padding && call.layout == ScaleLayout::kSwizzled128x4;
  }
  return spec;
}

namespace {

Spec spec_of(const Workspace::Impl& workspace, const AllReduceCall& call) {
  Spec spec = base_spec(workspace, call.input, call.launch_with_pdl, call.pdl_trigger);
  spec.operation = Operation::kAllReduce;
  spec.has_residual_out = false;
  return spec;
}

void choose(const Workspace::Impl& workspace, std::int64_t tokens, Strategy requested, Spec& spec) {
  const CallShape shape = {spec.operation, spec.dtype, spec.quant, spec.hidden_dim, tokens};
  const Choice choice = workspace.dispatcher().choose(shape, requested, workspace.capacity);
  spec.strategy = choice.strategy;
  spec.geometry = workspace.forced_geometry().value_or(choice.geometry);
}

const Plan& plan_of(Workspace::Impl& workspace, const Spec& spec, Stream stream) {
  if (const Plan* plan = workspace.plans.find(spec)) return *plan;
  if (workspace.device().is_capturing(stream)) {
    throw Error(
        ErrorCode::kNotPrepared,
        fmt::format("the stream is being captured and this call has no kernel yet; call prepare() with it before "
                    "the capture ({})",
                    describe(spec)));
  }
  const Plan& plan = workspace.context.plans().get(workspace.device(), spec);
  workspace.plans.insert(plan);
  return plan;
}

/// Clusters that a call of so many tokens launches: all resident, beside those of the ranks that share this GPU.
unsigned clusters_of(const Workspace::Impl& workspace, const Plan& plan, std::int64_t tokens) {
  const unsigned resident = plan.kernel->max_resident_clusters() / static_cast<unsigned>(workspace.ranks_on_device);
  if (resident == 0) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("{} virtual ranks do not fit on GPU {} together with rows of hidden_dim {}; use fewer ranks",
                    workspace.ranks_on_device, workspace.device().ordinal(), plan.spec.hidden_dim));
  }
  return static_cast<unsigned>(std::min<std::int64_t>(tokens, resident)) + workspace.extra_clusters();
}

void launch(Workspace::Impl& workspace, const Plan& plan, std::int64_t tokens, unsigned clusters, Stream stream) {
  KernelParams& params = workspace.params;
  params.tokens = static_cast<std::uint32_t>(tokens);
  params.states = plan.spec.strategy == Strategy::kOneShot ? workspace.one_shot_states() : workspace.two_shot_states();
  plan.kernel->launch(clusters, &params, stream);
}

/// In checked mode, before the call, or in place of one that is refused.
void compare(Workspace::Impl& workspace, const Spec& spec, std::int64_t hidden_dim, std::int64_t tokens, bool refused,
             Stream stream) {
  const ComparedWords words = compared_words(spec, hidden_dim, tokens, refused);
  std::copy(words.begin(), words.end(), workspace.params.compared);
  workspace.params.states = workspace.comparison_state();
  workspace.comparison()->kernel->launch(1, &workspace.params, stream);
}

[[noreturn]] void refuse_suspended() {
  throw Error(ErrorCode::kInvalidArgument,
              "workspace: it is suspended, and its memory was given back; World::resume() "
              "must come first");
}

/// `compared`: whether the other ranks have been told of the call, in checked mode.
template <typename Call>
void check_and_launch(Workspace::Impl& workspace, const Call& call, Stream stream, bool& compared) {
  if (workspace.suspended) refuse_suspended();
  Spec spec = spec_of(workspace, call);
  const bool checked = workspace.comparison() != nullptr;
  if (call.input.rows == 0 && !checked) return;
  workspace.device().check_stream(stream, workspace.ranks_on_device > 1);
  if (call.input.rows == 0) return compare(workspace, spec, call.input.columns, 0, false, stream);
  choose(workspace, call.input.rows, call.strategy, spec);
  check_capacity(workspace, call.input, spec.strategy);
  check_memory(workspace, call);
  const Plan& plan = plan_of(workspace, spec, stream);
  const unsigned clusters = clusters_of(workspace, plan, call.input.rows);
  if (checked) {  // nothing refuses the call from here on
    compared = true;
    compare(workspace, spec, call.input.columns, call.input.rows, false, stream);
  }
  workspace.params.input = call.input.data;
  workspace.params.output = call.output.data;
  if constexpr (std::is_same_v<Call, FusedCall>) {
    KernelParams& params = workspace.params;
    params.residual_in = call.residual_in.data;
    params.gamma = call.gamma.data;
    params.residual_out = call.residual_out.data;
    params.quant_out = call.quant_out.data;
    params.scale_out = call.scale_out.data;
    params.output_scale_pointer = call.output_scale_pointer;
    params.output_scale = call.output_scale;
    params.inverse_scale = 1.0F / call.output_scale;
    params.epsilon = call.epsilon.value_or(default_epsilon(call.input.dtype));
    params.weight_bias = call.weight_bias;
  } else {
    workspace.params.output_scale_pointer = nullptr;
  }
  launch(workspace, plan, call.input.rows, clusters, stream);
}

/// A call may be refused for what makes it differ from the others': in checked mode they learn of it, and do not wait
/// for it in vain. In a capture this becomes a part of the graph, as the call would have.
template <typename Call>
void compare_refused(Workspace::Impl& workspace, const Call& call, Stream stream) noexcept {
  if (workspace.comparison() == nullptr || workspace.suspended) return;
  try {
    workspace.device().check_stream(stream, workspace.ranks_on_device > 1);
    Spec spec = spec_of(workspace, call);
    spec.strategy = call.strategy;
    if (is_valid_input(call.input, spec.quant) && call.strategy == Strategy::kAuto) {
      choose(workspace, call.input.rows, call.strategy, spec);
    }
    compare(workspace, spec, call.input.columns, call.input.rows, true, stream);
  } catch (const std::exception&) {
    // Why the call was refused says more.
  }
}

template <typename Call, typename Check>
void run(Workspace::Impl& workspace, const Call& call, Stream stream, const Check& check) {
  bool compared = false;
  try {
    check();
    check_and_launch(workspace, call, stream, compared);
  } catch (...) {
    if (!compared) compare_refused(workspace, call, stream);
    throw;
  }
}

using SpecSet = std::unordered_set<Spec, SpecHash>;

/// What the call can need for any number of tokens up to its own.
template <typename Call>
void collect_specs(const Workspace::Impl& workspace, const Call& call, SpecSet& specs) {
  if (call.input.rows == 0) return;
  Spec spec = spec_of(workspace, call);
  choose(workspace, call.input.rows, call.strategy, spec);
  check_capacity(workspace, call.input, spec.strategy);
  for (std::int64_t tokens = 1; tokens <= call.input.rows; tokens++) {
    choose(workspace, tokens, call.strategy, spec);
    specs.insert(spec);
  }
}

void make_plans(Workspace::Impl& workspace, const SpecSet& specs, const PrepareOptions& options) {
  if (options.parallel < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("PrepareOptions::parallel: {} given, allowed: 0 or more", options.parallel));
  }
  PlanStore& store = workspace.context.plans();
  const std::vector<Spec> list(specs.begin(), specs.end());
  store.compile(list, static_cast<unsigned>(options.parallel), [&](const CompileStep& step) {
    if (!options.on_progress) return;
    const bool compiled = !step.kernel.from_disk_cache && !step.kernel.prebuilt;
    options.on_progress({step.done, step.total, describe(step.spec), compiled, step.kernel.seconds});
  });
  for (const Spec& spec : list) {
    const Plan& plan = store.get(workspace.device(), spec);
    static_cast<void>(clusters_of(workspace, plan, 1));  // throws where the ranks do not fit together
    workspace.plans.insert(plan);
  }
}

}  // namespace

void fused_allreduce_add_rmsnorm_quant(Workspace& workspace, const FusedCall& call, Stream stream) {
  run(workspace.impl(), call, stream, [&] { validate(call, true, Pointers::kChecked); });
}

void fused_allreduce_add_rmsnorm(Workspace& workspace, const FusedCall& call, Stream stream) {
  run(workspace.impl(), call, stream, [&] { validate(call, false, Pointers::kChecked); });
}

void allreduce(Workspace& workspace, const AllReduceCall& call, Stream stream) {
  run(workspace.impl(), call, stream, [&] { validate(call, Pointers::kChecked); });
}

void prepare(Workspace& workspace, std::span<const FusedCall> calls, const PrepareOptions& options) {
  SpecSet specs;
  for (const FusedCall& call : calls) {
    validate(call, call.quant != Quant::kNone, Pointers::kIgnored);
    collect_specs(workspace.impl(), call, specs);
  }
  make_plans(workspace.impl(), specs, options);
}

void prepare(Workspace& workspace, const FusedCall& call, const PrepareOptions& options) {
  prepare(workspace, std::span(&call, 1), options);
}

void prepare(Workspace& workspace, const AllReduceCall& call, const PrepareOptions& options) {
  validate(call, Pointers::kIgnored);
  SpecSet specs;
  collect_specs(workspace.impl(), call, specs);
  make_plans(workspace.impl(), specs, options);
}

}  // namespace allnorm
