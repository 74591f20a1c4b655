#include "sim/mutations.h"

namespace allnorm::sim_tests {
namespace {

constexpr std::int64_t kMaxRowBytes = std::int64_t{65536} * 4;

calls::Case make_case(const Scenario& scenario, Strategy strategy, std::int64_t tokens, int hidden_dim) {
  calls::Case c;
  c.index = static_cast<std::uint32_t>(scenario.calls.size());
  c.seed = c.index + 100;
  c.world_size = scenario.world_size;
  c.hidden_dim = hidden_dim;
  c.strategy = strategy;
  c.tokens = tokens;
  return c;
}

Scenario of_calls(int world_size, Strategy strategy, std::int64_t tokens, int hidden_dim, int count, Pdl pdl) {
  Scenario scenario;
  scenario.world_size = world_size;
  scenario.multiprocessors = 1;
  for (int i = 0; i < count; i++) {
    scenario.calls.push_back(make_case(scenario, strategy, tokens, hidden_dim));
    scenario.calls.back().pdl = pdl;
  }
  return scenario;
}

Scenario multicast() {
  Scenario scenario = standard_scenario();
  scenario.multicast = true;
  return scenario;
}

Scenario checked() {
  Scenario scenario = standard_scenario();
  scenario.checked = true;
  return scenario;
}

/// Comparisons alone, one right after the other.
Scenario checked_without_tokens() {
  Scenario scenario = of_calls(3, Strategy::kOneShot, 0, 32, 8, Pdl::kOff);
  scenario.max_tokens = 1;
  scenario.checked = true;
  scenario.timeout_seconds = 0.01;
  return scenario;
}

/// Calls that may overlap. The output of each is the input of none, so only the protocol orders them.
Scenario dependent_launches() { return of_calls(2, Strategy::kOneShot, 3, 32, 6, Pdl::kEarlyTrigger); }

/// Two calls that write the same scales; CTAs of the second have no row, but zero the padding.
Scenario clusters_without_row() {
  Scenario scenario = of_calls(2, Strategy::kOneShot, 100, 64, 1, Pdl::kEarlyTrigger);
  scenario.multiprocessors = 4;
  calls::Case& c = scenario.calls.back();
  c.quant = Quant::kNvfp4;
  c.layout = ScaleLayout::kSwizzled128x4;
  c.zero_scale_padding = true;
  scenario.again_with_tokens = 2;
  scenario.extra_clusters = 4;
  return scenario;
}

/// More rows than CTAs.
Scenario many_rows() { return of_calls(2, Strategy::kOneShot, 7, 16, 3, Pdl::kOff); }

/// A call of few tokens between: rows that one CTA works on have gone through different numbers of calls.
Scenario many_rows_then_few() {
  Scenario scenario = of_calls(2, Strategy::kOneShot, 7, 16, 4, Pdl::kOff);
  scenario.calls[1].tokens = 2;
  return scenario;
}

/// A row is spread over two warps.
Scenario two_warps() {
  Scenario scenario = of_calls(2, Strategy::kOneShot, 2, 512, 4, Pdl::kOff);
  scenario.geometry = Geometry{1, 2, 1};
  return scenario;
}

/// Rows of several chunks, the last of which is partial, some of them of zeros of both signs; in the first geometry a
/// warp has no chunk.
Scenario two_ranks(Geometry geometry) {
  struct Shape {
    int hidden_dim;
    DataType dtype;
    reference::Pattern pattern;
  };
  constexpr auto kZeros = reference::Pattern::kNegativeZeroSubnormal;
  constexpr auto kRandom = reference::Pattern::kRandom;
  Scenario scenario;
  scenario.multiprocessors = 1;
  scenario.geometry = geometry;
  for (const Shape& shape :
       {Shape{600, DataType::kBF16, kRandom}, Shape{600, DataType::kBF16, kZeros}, Shape{1000, DataType::kF16, kRandom},
        Shape{300, DataType::kF32, kZeros}, Shape{520, DataType::kBF16, kRandom}}) {
    calls::Case c = make_case(scenario, Strategy::kOneShot, 2, shape.hidden_dim);
    c.dtype = c.gamma_dtype = shape.dtype;
    c.pattern = shape.pattern;
    scenario.calls.push_back(c);
  }
  return scenario;
}
Scenario two_ranks_of_four_warps() { return two_ranks(Geometry{1, 4, 1}); }
Scenario two_ranks_of_two_warps() { return two_ranks(Geometry{1, 2, 2}); }

/// Buffer 2 begins 4 GiB after buffer 0: 2 buffers x 2 ranks x 4096 rows x 256 KiB.
Scenario large_buffers() {
  Scenario scenario = of_calls(2, Strategy::kOneShot, 1, 16, 8, Pdl::kOff);
  scenario.max_row_bytes = kMaxRowBytes;
  scenario.max_tokens = 4096;
  return scenario;
}

/// A rank that never calls: the others give up.
Scenario silent_peer(Strategy strategy) {
  Scenario scenario = of_calls(3, strategy, 3, 32, 1, Pdl::kOff);
  scenario.silent_ranks = {2};
  scenario.timeout_seconds = 0.01;
  scenario.outcome = Scenario::Outcome::kTimeout;
  return scenario;
}

Scenario silent_peer_one_shot() {
  Scenario scenario = silent_peer(Strategy::kOneShot);
  scenario.steps_between_looks = 20;
  return scenario;
}

/// One rank begins late, and so still waits when another gives up.
Scenario silent_peer_two_shot() {
  Scenario scenario = silent_peer(Strategy::kTwoShot);
  sim::Stall stall;
  stall.rank = 1;
  stall.point = "start";
  stall.milliseconds = 5;
  scenario.stalls = {stall};
  return scenario;
}

/// In a lean kernel (kLean in row.cuh), of more rows than CTAs.
Scenario silent_peer_lean() {
  Scenario scenario = of_calls(2, Strategy::kOneShot, 5, 2088, 1, Pdl::kOff);
  scenario.geometry = Geometry{1, 10, 1};
  scenario.silent_ranks = {1};
  scenario.timeout_seconds = 0.01;
  scenario.outcome = Scenario::Outcome::kTimeout;
  return scenario;
}

/// Half of a row never comes: one CTA of its cluster gives up, and the other has all it needs.
Scenario half_a_row() {
  Scenario scenario = of_calls(2, Strategy::kOneShot, 1, 512, 1, Pdl::kOff);
  scenario.geometry = Geometry{2, 1, 1};
  scenario.timeout_seconds = 0.01;
  scenario.outcome = Scenario::Outcome::kTimeout;
  sim::Stall stall;
  stall.rank = 1;
  stall.cta = 1;
  stall.point = "load";
  stall.milliseconds = 1000;
  scenario.stalls = {stall};
  return scenario;
}

}  // namespace

std::span<const Mutation> mutations() {
  static const std::vector<Mutation> all = {
      {"clear_next_buffer",
       "3",
       "a call clears the buffer after its own, (e + 1) mod 3",
       "the reference has",
       {{"protocol.cuh", "{ return buffer == 0 ? kBuffers - 1 : buffer - 1; }",
         "{ return buffer == kBuffers - 1 ? 0 : buffer + 1; }"}},
       false,
       standard_scenario},
      {"clear_by_current_shape",
       "4",
       "a call clears as many vectors as it has itself, not those that the row's last call dirtied",
       "the reference has",
       {{"protocol.cuh", "return {v.x, v.y};", "return {v.x, v.y < kVectors ? v.y : kVectors};"}},
       false,
       standard_scenario},
      {"rows_packed_by_hidden_dim",
       "4",
       "a row's slot lies at row * (bytes of this call's rows)",
       "the reference has",
       {{"protocol.cuh", "+ u64{row} * params.slot_bytes;", "+ u64{row} * (kVectors * sizeof(Words4));"}},
       false,
       standard_scenario},
      {"sentinel_compared_as_float",
       "1",
       "the sentinel is compared as a float, with flush to zero: zeros and subnormals look like it",
       "gave up waiting",
       {{"wait.cuh", "return v.x == kSentinel || v.y == kSentinel || v.z == kSentinel || v.w == kSentinel;",
         "const auto zero = [](u32 bits) { return (bits & 0x7F800000u) == 0; };\n"
         "  return zero(v.x) || zero(v.y) || zero(v.z) || zero(v.w);"}},
       false,
       standard_scenario},
      {"input_not_sanitized",
       "2",
       "an input word that equals the sentinel is published as it is",
       "gave up waiting",
       {{"protocol.cuh", "return word == kSentinel ? 0 : word;", "return word;"}},
       false,
       standard_scenario},
      {"half_of_a_vector_checked",
       "1",
       "two of the four words of a vector are checked for the sentinel",
       "the reference has",
       {{"wait.cuh", "|| v.z == kSentinel || v.w == kSentinel;", ";"}},
       false,
       standard_scenario},
      {"half_of_a_vector_checked_of_two",
       "1",
       "the same where a warp of one peer's row has one lane to probe for it",
       "the reference has",
       {{"wait.cuh", "|| v.z == kSentinel || v.w == kSentinel;", ";"}},
       false,
       two_ranks_of_four_warps},
      {"warp_trusts_its_probe",
       "1",
       "a warp takes its chunk of one peer's row when the last word is there",
       "the reference has",
       {{"one_shot.cuh", "mine.values.set(i, add_peer(params, waiter, theirs, sum, what));",
         "{\n"
         "          static_assert(kProbes);\n"
         "          mine.values.set(i, add_vectors(sum, load_relaxed_system(theirs)));\n"
         "        }"}},
       false,
       two_ranks_of_four_warps},
      {"probe_without_vector",
       "1",
       "the last lane of a warp probes for it, also where it has no vector itself",
       "gave up waiting",
       {{"row.cuh", "return has(i) && (lane() == 31 || vector(i) + 1 == kVectors);", "return lane() == 31;"}},
       false,
       two_ranks_of_two_warps},
      {"input_of_two_not_sanitized",
       "2",
       "of two ranks, an input word that equals the sentinel is published as it is",
       "gave up waiting",
       {{"protocol.cuh", "return word == kSentinel ? 0 : word;", "return word;"}},
       false,
       two_ranks_of_two_warps},
      {"broadcast_not_awaited",
       "5",
       "the last rank takes what lies in its broadcast slots, without waiting for it",
       "the reference has",
       {{"two_shot.cuh", "sum_vector = wait_for_vector(params, waiter, slot, {owner, Phase::kBroadcast, row});",
         "sum_vector = params.rank == kWorldSize - 1\n"
         "    ? load_relaxed_system(slot) : wait_for_vector(params, waiter, slot, {owner, Phase::kBroadcast, row});"}},
       false,
       standard_scenario},
      {"no_dependency_wait",
       "8",
       "kernels launched as dependents do not wait for the kernel before",
       "",
       {{"row_loop.cuh", "if constexpr (spec::kPdl != Pdl::kOff) grid_dependency_wait();", ""}},
       false,
       dependent_launches},
      {"dependency_wait_after_state",
       "8",
       "the wait for the kernel before comes after the first read of rotation state",
       "",
       {{"row_loop.cuh", "if constexpr (spec::kPdl != Pdl::kOff) grid_dependency_wait();", ""},
        {"row_loop.cuh", "    loop.constants = load_constants(params, place);\n#pragma unroll 1\n    while",
         "    if constexpr (spec::kPdl != Pdl::kOff) grid_dependency_wait();\n"
         "    loop.constants = load_constants(params, place);\n#pragma unroll 1\n    while"}},
       false,
       dependent_launches},
      {"no_dependency_wait_without_row",
       "8",
       "a CTA without a row does not wait for the kernel before",
       "the reference has 0x00",
       {{"row_loop.cuh", "if constexpr (spec::kPdl != Pdl::kOff) grid_dependency_wait();",
         "if (spec::kPdl != Pdl::kOff && cta_in_grid() / kCtasPerRow < params.tokens) grid_dependency_wait();"}},
       false,
       clusters_without_row},
      {"poison_without_release",
       "9",
       "the poison, which says that a report is there, is stored without release",
       "poisoned without a report",
       {{"wait.cuh", "store_release_system(&control->poison, params.rank + 1);",
         "store_output(&control->poison, params.rank + 1);"}},
       false,
       silent_peer_one_shot},
      {"weak_multicast_store",
       "10",
       "a plain store to the multicast address",
       "where only multicast stores are allowed",
       {{"protocol.cuh", "store_multicast(reinterpret_cast<Words4*>(params.multicast + offset), v);",
         "store_weak(reinterpret_cast<Words4*>(params.multicast + offset), v);"}},
       false,
       multicast},
      {"grid_not_resident",
       "7",
       "more clusters are launched than can be resident together",
       "gave up waiting",
       {},
       true,
       many_rows},
      {"rows_in_another_order",
       "7",
       "odd ranks take their rows in descending order",
       "gave up waiting",
       {{"row_loop.cuh", "u32 next_row = cta_in_grid() / kCtasPerRow;",
         "const bool descending = params.rank % 2 == 1;\n"
         "  u32 next_row = descending ? params.tokens - 1 - cta_in_grid() / kCtasPerRow : cta_in_grid() / "
         "kCtasPerRow;"},
        {"row_loop.cuh", "      row = next_row;\n      next_row += clusters;\n      if",
         "      row = next_row;\n      next_row += descending ? -clusters : clusters;\n      if"},
        {"row_loop.cuh", "sent = next_sent;\n      next_row += clusters;",
         "sent = next_sent;\n      next_row += descending ? -clusters : clusters;"}},
       false,
       many_rows},
      {"state_shared_by_strategies",
       "4",
       "two-shot uses the rotation state of one-shot",
       "the reference has",
       {{"two_shot.cuh", "for_each_row<TwoShot>(params, shared);",
         "Params mutated = params;\n"
         "  mutated.states -= params.one_shot.source_bytes / params.slot_bytes;\n"
         "  for_each_row<TwoShot>(mutated, shared);"}},
       false,
       standard_scenario},
      {"state_per_cta",
       "6",
       "the rotation state belongs to a CTA, not to a row",
       "",
       {{"protocol.cuh", "reinterpret_cast<const Words2*>(&params.states[row])",
         "reinterpret_cast<const Words2*>(&params.states[cta_in_grid()])"},
        {"protocol.cuh", "RowState* state = &params.states[row];", "RowState* state = &params.states[cta_in_grid()];"}},
       false,
       many_rows_then_few},
      {"state_before_barrier",
       "6",
       "the rotation state is written before a barrier, which threads that have not read it pass later",
       "",
       {{"row_loop.cuh",
         "finish_row(params, place, row, loop.waiter, loop.parity, mine, loop.constants, shared);\n"
         "  if (kWorldSize > 1 && place.thread_in_row == 0) {\n"
         "    advance_state(params, row, sent.buffer, loop.waiter.alive());\n"
         "  }",
         "if (kWorldSize > 1 && place.thread_in_row == 0) {\n"
         "    advance_state(params, row, sent.buffer, loop.waiter.alive());\n"
         "  }\n"
         "  finish_row(params, place, row, loop.waiter, loop.parity, mine, loop.constants, shared);"}},
       false,
       two_warps},
      {"offsets_in_32_bits",
       "12",
       "the offset of a slot is computed in 32 bits",
       "gave up waiting",
       {{"protocol.cuh", "return buffer * sources * region.source_bytes + u64{row} * params.slot_bytes;",
         "return static_cast<u32>(buffer * sources * region.source_bytes + u64{row} * params.slot_bytes);"}},
       false,
       large_buffers},
      {"gives_up_before_cluster_barrier",
       "11",
       "a thread that has given up leaves without passing the cluster barrier",
       "reads shared memory that was never written",
       {{"row_loop.cuh", "finish_row(params, place, row, loop.waiter, loop.parity, mine, loop.constants, shared);",
         "if (!loop.waiter.alive()) return;\n"
         "  finish_row(params, place, row, loop.waiter, loop.parity, mine, loop.constants, shared);"}},
       false,
       half_a_row},
      {"lean_kernel_gives_up_in_silence",
       "11",
       "a lean kernel does not report what its threads gave up waiting for",
       "is healthy, and should have given up",
       {{"finish_row.cuh",
         "if constexpr (!kRepeatsCode) report_if_timed_out(params, waiter, row);  // here, few registers are in use",
         "static_assert(kLean);"}},
       false,
       silent_peer_lean},
      {"partial_sum_published",
       "11",
       "an owner that has given up publishes what it has summed so far",
       "of a row that lacks a rank",
       {{"two_shot.cuh", "if (kWorldSize > 1 && waiter.alive()) {", "if (kWorldSize > 1) {"}},
       false,
       silent_peer_two_shot},
      {"compared_calls_in_one_place",
       "12",
       "checked mode: what a rank says of its next call is stored over what it said of this one",
       "gave up waiting",
       {{"compare_calls.cuh", "static_cast<u32>(call & 1)", "static_cast<u32>(call & 0)"}},
       false,
       checked_without_tokens},
      {"compared_calls_without_number",
       "12",
       "checked mode: what was said of the call before the last is taken for this one's",
       "calls differ",
       {{"compare_calls.cuh", "number = call_number(call)", "number = 1"}},
       false,
       checked},
  };
  return all;
}

Scenario scenario_of(const Mutation& mutation, bool mutated) {
  Scenario scenario = mutation.scenario();
  if (mutation.oversized_grid && mutated) scenario.extra_clusters = 4;
  return scenario;
}

}  // namespace allnorm::sim_tests
