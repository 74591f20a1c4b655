// CUDA graphs of many calls replay right: with new inputs each time, back to back, with and without PDL.
//
// A replay makes its inputs from a counter on the GPU, poisons all outputs, runs the calls, digests what they left, and
// compares the digests with those that the CPU reference gives for this replay. Nothing is copied meanwhile.
#include <fmt/format.h>

#include <random>

#include "calls/parallel.h"
#include "catch.h"
#include "gpu/report.h"
#include "gpu/session.h"

namespace allnorm::gpu_tests {
namespace {

constexpr std::int64_t kMaxTokens = 64;
constexpr std::int64_t kMaxElements = 100'000;  // of a call
constexpr std::size_t kKernels = 30;
constexpr unsigned kCtasPerJob = 8;

WorldOptions options_for(int world_size, bool virtual_ranks) {
  WorldOptions options;
  options.devices = devices_for(world_size, virtual_ranks);
  options.max_row_bytes = std::int64_t{65536} * 4;
  options.max_tokens_one_shot = options.max_tokens_two_shot = kMaxTokens;
  options.timeout_seconds = 10;
  return options;
}

/// Calls of 0 to 64 tokens, of a few kernels in any order.
std::vector<Case> make_calls(int world_size, std::size_t count, std::uint64_t seed) {
  SampleOptions sample;
  sample.seed = seed;
  sample.cases = static_cast<int>(kKernels);
  sample.world_size = world_size;
  sample.with_pdl = false;
  sample.max_elements = kMaxElements;
  const std::vector<Case> kernels = sample_cases(sample);
  std::mt19937_64 random(seed);
  std::vector<Case> calls;
  while (calls.size() < count) {
    Case c = kernels[random() % kernels.size()];
    const auto most = static_cast<std::uint64_t>(std::min(kMaxTokens, kMaxElements / c.hidden_dim));
    c.tokens = static_cast<std::int64_t>(random() % (most + 1));
    c.seed = random();
    c.index = static_cast<std::uint32_t>(calls.size());
    calls.push_back(c);
  }
  return calls;
}

/// expected[replay * calls + call]
std::vector<std::uint64_t> expected_digests(const std::vector<Case>& calls, std::size_t replays) {
  Layout layout;
  std::vector<Placement> placements;
  for (const Case& c : calls) placements.push_back(place_outputs(c, layout));
  std::vector<std::uint64_t> expected(replays * calls.size());
  parallel_for(replays, host_threads(), [&](std::size_t replay, unsigned) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const std::uint64_t seed = replay_seed(calls[i].seed, replay);
      expected[replay * calls.size() + i] = digest_of(expected_outputs(calls[i], placements[i], seed));
    }
  });
  return expected;
}

/// What a rank's graph works on, beside the session's memory.
struct RankGraph {
  RankGraph(Session& session, int rank, const std::vector<Case>& calls, const std::vector<std::uint64_t>& expected)
      : gpu(session.stream(rank).gpu()),
        digests(gpu, calls.size() * 8),
        expected_digests(gpu, expected.size() * 8),
        tally(gpu, sizeof(Tally)) {
    std::vector<FillJob> fills;
    std::vector<DigestJob> digest_list;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const Placement& p = session.placements()[i];
      add_fill_jobs(calls[i], p, session.memory(rank), session.first_rank() + rank, true, fills);
      digest_list.push_back({session.memory(rank) + p.outputs.offset, p.outputs.bytes});
    }
    fill_jobs = std::make_unique<GpuBuffer>(gpu, fills.size() * sizeof(FillJob));
    fill_jobs->write(fills.data(), fills.size() * sizeof(FillJob));
    digest_jobs = std::make_unique<GpuBuffer>(gpu, digest_list.size() * sizeof(DigestJob));
    digest_jobs->write(digest_list.data(), digest_list.size() * sizeof(DigestJob));
    digests.fill(0);
    expected_digests.write(expected.data(), expected.size() * 8);
    const Tally zero;
    tally.write(&zero, sizeof(zero));

    const GpuStream& stream = session.stream(rank);
    const AuxiliaryKernels& kernels = gpu.kernels();
    const auto call_count = static_cast<unsigned>(calls.size());
    graph = std::make_unique<GpuGraph>(stream, [&] {
      stream.poison(session.memory(rank), session.output_bytes());
      stream.launch(kernels.fill, kCtasPerJob, static_cast<unsigned>(fills.size()), 256, fill_jobs->as<const FillJob>(),
                    tally.as<const Tally>());
      for (std::size_t i = 0; i < calls.size(); ++i) session.enqueue(i, rank);
      stream.launch(kernels.digest, kCtasPerJob, call_count, 256, digest_jobs->as<const DigestJob>(),
                    digests.as<std::uint64_t>());
      stream.launch(kernels.compare, 1, 1, 256, digests.as<std::uint64_t>(), expected_digests.as<const std::uint64_t>(),
                    call_count, std::uint64_t{expected.size() / calls.size()}, tally.as<Tally>());
    });
  }

  Tally read_tally() const {
    Tally result;
    tally.read(&result, sizeof(result));
    return result;
  }

  Gpu& gpu;
  GpuBuffer digests;
  GpuBuffer expected_digests;
  GpuBuffer tally;
  std::unique_ptr<GpuBuffer> fill_jobs;
  std::unique_ptr<GpuBuffer> digest_jobs;
  std::unique_ptr<GpuGraph> graph;
};

void check_replays(Session& session, const std::vector<Case>& calls, const std::vector<std::uint64_t>& expected,
                   std::size_t replays, const char* name) {
  session.load(calls);
  session.prepare();
  std::vector<std::unique_ptr<RankGraph>> ranks;
  for (int rank = 0; rank < session.size(); ++rank) {
    ranks.push_back(std::make_unique<RankGraph>(session, rank, calls, expected));
    ranks.back()->graph->upload();
  }
  session.wait();
  session.meet();
  const GpuEvent start(ranks[0]->gpu);
  const GpuEvent end(ranks[0]->gpu);
  start.record(session.stream(0));
  constexpr std::size_t kReplaysBetweenLooks = 25;
  for (std::size_t replay = 0; replay < replays; ++replay) {
    for (const auto& rank : ranks) rank->graph->launch();
    if (replay % kReplaysBetweenLooks == kReplaysBetweenLooks - 1) session.wait();
  }
  end.record(session.stream(0));
  session.wait();
  const double milliseconds = end.milliseconds_since(start);

  std::uint64_t mismatches = 0;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const Tally tally = ranks[rank]->read_tally();
    mismatches += tally.mismatches;
    if (tally.mismatches > 0) {
      const std::uint64_t replay = tally.first_mismatch / calls.size();
      const Case& c = calls[tally.first_mismatch % calls.size()];
      FAIL_CHECK(fmt::format(
          "{}: rank {}: {} of {} digests differ, the first in replay {} (input seed {:#x}), call {}: {}", name, rank,
          tally.mismatches, replays * calls.size(), replay, replay_seed(c.seed, replay), c.index, describe(c)));
    }
    CHECK(tally.replays == replays);
  }
  report_json(
      fmt::format("{{\"test\":\"graph\",\"name\":\"{}\",\"ranks\":{},\"replays\":{},\"calls_per_replay\":{},"
                  "\"nodes\":{},\"mismatches\":{},\"milliseconds\":{:.1f},\"axes\":{}}}",
                  name, ranks.size(), replays, calls.size(), ranks[0]->graph->nodes(), mismatches, milliseconds,
                  axis_counts_json(calls)));
}

void check_graphs(int world_size, bool virtual_ranks, std::size_t call_count, std::size_t replays) {
  const std::uint64_t seed = test_seed();
  fmt::print("graph: ALLNORM_TEST_SEED={:#x}\n", seed);
  const WorldOptions options = options_for(world_size, virtual_ranks);
  std::vector<Case> calls = make_calls(world_size, call_count, seed);
  const std::vector<std::uint64_t> expected = expected_digests(calls, replays);
  Session session(options);
  for (const bool with_pdl : {false, true}) {
    if (with_pdl && virtual_ranks) continue;  // virtual ranks ignore it
    for (std::size_t i = 0; with_pdl && i < calls.size(); ++i) {
      calls[i].pdl = i % 2 == 0 ? Pdl::kEarlyTrigger : Pdl::kLateTrigger;
    }
    Preparer(options).prepare(calls);
    check_replays(session, calls, expected, replays, virtual_ranks ? "virtual" : with_pdl ? "pdl" : "no pdl");
  }
}

std::size_t replays() { return static_cast<std::size_t>(setting("ALLNORM_TEST_REPLAYS", 20)); }

TEST_CASE("on GPUs of their own every replay of a graph of 100 calls gives the reference's bytes",
          "[.][two_gpus][graph]") {
  if (has_gpus(gpus_of_world())) check_graphs(gpus_of_world(), false, 100, replays());
}
TEST_CASE("every replay of graphs of virtual ranks gives the reference's bytes", "[virtual][graph]") {
  check_graphs(2, true, 30, std::min<std::size_t>(replays(), 100));
  check_graphs(4, true, 30, std::min<std::size_t>(replays(), 20));
}

}  // namespace
}  // namespace allnorm::gpu_tests
