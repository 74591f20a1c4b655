// What `allnorm soak` does on the GPUs: blocks of a hundred cases, each run in a graph or call by call.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "allnorm/error.h"
#include "calls/parallel.h"
#include "command.h"
#include "gpu/report.h"
#include "gpu/session.h"
#include "interrupt.h"
#include "progress.h"
#include "soak.h"

namespace allnorm::tools {
namespace {

using namespace gpu_tests;

constexpr std::size_t kBlock = 100;
/// Of every five blocks this many are graphs.
constexpr std::uint64_t kGraphsOfFive = 4;
constexpr int kKernels = 64;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 22;
constexpr unsigned kCtasPerDigest = 8;
/// How many blocks are enqueued before they are waited for.
constexpr std::size_t kBlocksAhead = 10;

std::vector<Case> draw_cases(const SoakOptions& options, int world_size, bool with_pdl, std::uint64_t seed) {
  SampleOptions sample;
  sample.seed = seed;
  sample.cases = kKernels;
  sample.world_size = world_size;
  sample.with_pdl = with_pdl;
  sample.max_elements = kMaxElements;
  const std::vector<Case> kernels = calls::sample_cases(sample);
  std::mt19937_64 random(seed);
  std::vector<Case> cases;
  const std::size_t count = (static_cast<std::size_t>(options.cases) + kBlock - 1) / kBlock * kBlock;
  while (cases.size() < count) {
    Case c = kernels[random() % kernels.size()];
    const std::int64_t most = std::clamp<std::int64_t>(kMaxElements / c.hidden_dim, 1, options.max_tokens);
    const double uniform = std::uniform_real_distribution<double>()(random);
    c.tokens = std::min(most, static_cast<std::int64_t>(std::exp(uniform * std::log(static_cast<double>(most) + 1))));
    // Its inputs serve every run.
    c.output_in_place = c.residual_in_place = false;
    c.seed = random();
    c.index = static_cast<std::uint32_t>(cases.size());
    cases.push_back(c);
  }
  return cases;
}

WorldOptions options_of(const SoakOptions& options, int world_size) {
  WorldOptions world;
  const bool own_gpus = Gpu::count() >= world_size || is_launched_rank();
  world.devices = devices_for(world_size, !own_gpus);
  world.max_row_bytes = std::int64_t{65536} * 4;
  world.max_tokens_one_shot = world.max_tokens_two_shot = options.max_tokens;
  return world;
}

/// A rank's share of a block: its calls in an order of their own, and where their outputs' digests belong.
class BlockOfRank {
 public:
  BlockOfRank(Session& session, int rank, std::size_t first, const std::vector<std::size_t>& order,
              const std::vector<std::uint64_t>& expected)
      : session_(session),
        rank_(rank),
        order_(order),
        gpu_(session.stream(rank).gpu()),
        digests_(gpu_, kBlock * sizeof(std::uint64_t)),
        expected_(gpu_, kBlock * sizeof(std::uint64_t)),
        jobs_(gpu_, kBlock * sizeof(DigestJob)),
        tally_(gpu_, sizeof(Tally)) {
    const auto& placements = session.placements();
    std::vector<DigestJob> jobs;
    begin_ = placements[first].outputs.offset;
    for (std::size_t i = first; i < first + kBlock; ++i) {
      const Piece& outputs = placements[i].outputs;
      jobs.push_back({session.memory(rank) + outputs.offset, outputs.bytes});
      end_ = outputs.offset + outputs.bytes;
    }
    jobs_.write(jobs.data(), jobs.size() * sizeof(DigestJob));
    expected_.write(expected.data() + first, kBlock * sizeof(std::uint64_t));
    digests_.fill(0);
    const Tally zero;
    tally_.write(&zero, sizeof(zero));
    graph_ = std::make_unique<GpuGraph>(session.stream(rank), [&] { enqueue(); });
    graph_->upload();
  }

  void launch_graph() const { graph_->launch(); }
  void enqueue() const {
    const GpuStream& stream = session_.stream(rank_);
    const AuxiliaryKernels& kernels = gpu_.kernels();
    stream.poison(session_.memory(rank_) + begin_, (end_ - begin_ + 3) / 4 * 4);
    for (const std::size_t i : order_) session_.enqueue(i, rank_);
    stream.launch(kernels.digest, kCtasPerDigest, static_cast<unsigned>(kBlock), 256, jobs_.as<const DigestJob>(),
                  digests_.as<std::uint64_t>());
    stream.launch(kernels.compare, 1, 1, 256, digests_.as<std::uint64_t>(), expected_.as<const std::uint64_t>(),
                  static_cast<unsigned>(kBlock), std::uint64_t{1}, tally_.as<Tally>());
  }
  Tally tally() const {
    Tally tally;
    tally_.read(&tally, sizeof(tally));
    return tally;
  }

 private:
  Session& session_;
  int rank_;
  std::vector<std::size_t> order_;
  Gpu& gpu_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  GpuBuffer digests_;
  GpuBuffer expected_;
  GpuBuffer jobs_;
  GpuBuffer tally_;
  std::unique_ptr<GpuGraph> graph_;
};

struct Outcome {
  std::int64_t calls = 0;
  std::int64_t graph_calls = 0;
  double seconds = 0;
  std::uint64_t mismatches = 0;
  std::vector<std::string> first;  ///< A wrong case of each block that has one.
  std::string stuck;
};

class Soak {
 public:
  Soak(const SoakOptions& options, int world_size, std::uint64_t seed)
      : options_(options), seed_(seed), world_(options_of(options, world_size)), session_(world_) {
    const bool own_gpus = world_size == 1 || world_.devices[0] != world_.devices[1];
    cases_ = draw_cases(options, world_size, own_gpus, seed);
    session_.load(cases_);
    std::vector<std::uint64_t> expected(cases_.size());
    const auto& placements = session_.placements();
    parallel_for(cases_.size(), host_threads(), [&](std::size_t i, unsigned) {
      expected[i] = digest_of(calls::expected_outputs(cases_[i], placements[i], cases_[i].seed));
    });
    prepare_calls();
    make_blocks(expected);
    session_.wait();
    session_.meet();
  }

  std::size_t cases() const { return cases_.size(); }
  bool speaks() const { return session_.first_rank() == 0; }

  Outcome run() {
    Outcome outcome;
    std::mt19937_64 random(seed_ + 1);
    const double start = seconds_now();
    const auto wanted = static_cast<std::size_t>((options_.calls + kBlock - 1) / kBlock);
    const Interrupt interrupt;
    std::vector<pollfd> none;
    Progress progress("calls:", speaks() ? static_cast<std::size_t>(options_.calls) : 0);
    for (std::size_t done = 0; done < wanted;) {
      for (std::size_t ahead = 0; ahead < kBlocksAhead && done < wanted; ++ahead, ++done) {
        const auto& block = blocks_[random() % blocks_.size()];
        const bool in_graph = random() % 5 < kGraphsOfFive;
        for (const auto& rank : block) in_graph ? rank->launch_graph() : rank->enqueue();
        outcome.calls += kBlock;
        if (in_graph) outcome.graph_calls += kBlock;
      }
      try {
        session_.wait();
      } catch (const Stuck& stuck) {
        outcome.stuck = stuck.what();
        break;
      }
      outcome.seconds = seconds_now() - start;
      if (speaks()) progress.show(static_cast<std::size_t>(outcome.calls), fmt::format("{:.0f} s", outcome.seconds));
      interrupt.poll(none, 0);
      const bool is_over = options_.seconds > 0 && outcome.seconds > static_cast<double>(options_.seconds);
      if (session_.anywhere(is_over || interrupt.count() > 0)) break;
    }
    count_mismatches(outcome);
    return outcome;
  }

 private:
  /// The kernels of all calls at once, on several threads; then what is left, which loads quickly.
  void prepare_calls() {
    for (int rank = 0; rank < session_.size(); ++rank) {
      std::vector<FusedCall> fused;
      for (std::size_t i = 0; i < cases_.size(); ++i) {
        const AnyCall call = session_.call(i, rank);
        if (const auto* one = std::get_if<FusedCall>(&call)) fused.push_back(*one);
      }
      PrepareOptions options;
      options.parallel = static_cast<int>(host_threads());
      allnorm::prepare(session_.workspace(rank), fused, options);
    }
    session_.prepare();
  }

  void make_blocks(const std::vector<std::uint64_t>& expected) {
    std::mt19937_64 random(seed_ + 2);
    for (std::size_t first = 0; first < cases_.size(); first += kBlock) {
      std::vector<std::size_t> order;
      for (std::size_t i = first; i < first + kBlock; ++i) order.push_back(i);
      std::shuffle(order.begin(), order.end(), random);
      auto& block = blocks_.emplace_back();
      for (int rank = 0; rank < session_.size(); ++rank) {
        block.push_back(std::make_unique<BlockOfRank>(session_, rank, first, order, expected));
      }
    }
  }

  void count_mismatches(Outcome& outcome) {
    for (std::size_t block = 0; block < blocks_.size(); ++block) {
      for (const auto& rank : blocks_[block]) {
        const Tally tally = rank->tally();
        outcome.mismatches += tally.mismatches;
        if (tally.mismatches == 0) continue;
        outcome.first.push_back(describe(cases_[block * kBlock + tally.first_mismatch % kBlock]));
      }
    }
  }

  SoakOptions options_;
  std::uint64_t seed_;
  WorldOptions world_;
  Session session_;
  std::vector<Case> cases_;
  std::vector<std::vector<std::unique_ptr<BlockOfRank>>> blocks_;  ///< Of each block a share a rank.
};

}  // namespace

int run_soak(const SoakOptions& options) {
  if (Gpu::count() == 0) {
    throw Error(ErrorCode::kDriver, Gpu::why_none() + "; `allnorm simulate` needs no GPU");
  }
  Bootstrap* bootstrap = launched_bootstrap();
  const int world_size = bootstrap != nullptr ? bootstrap->world_size() : options.ranks;
  std::uint64_t seed = options.seed != 0 ? options.seed : std::random_device()();
  if (bootstrap != nullptr) seed = std::stoull(bootstrap->all_gather(fmt::format("{}", seed))[0]);
  Soak soak(options, world_size, seed);
  if (soak.speaks() && !options.json) {
    fmt::print("{} cases, {} ranks{}, seed {}\n", soak.cases(), world_size,
               bootstrap != nullptr ? ", a process each" : "", seed);
    std::fflush(stdout);
  }
  const Outcome outcome = soak.run();
  const bool right = outcome.mismatches == 0 && outcome.stuck.empty();
  const int rank = bootstrap != nullptr ? bootstrap->rank() : 0;
  if (options.json) {
    const nlohmann::ordered_json json = {{"rank", rank},
                                         {"ranks", world_size},
                                         {"processes", bootstrap != nullptr},
                                         {"cases", soak.cases()},
                                         {"seed", seed},
                                         {"calls", outcome.calls},
                                         {"calls_in_graphs", outcome.graph_calls},
                                         {"seconds", outcome.seconds},
                                         {"mismatches", outcome.mismatches},
                                         {"first", outcome.first},
                                         {"stuck", outcome.stuck}};
    fmt::print("{}\n", json.dump());
  } else if (soak.speaks() || !right) {
    fmt::print("rank {}: {} calls in {:.1f} s, {} of them in graphs: {} outputs differ{}\n", rank, outcome.calls,
               outcome.seconds, outcome.graph_calls, outcome.mismatches,
               outcome.stuck.empty() ? "" : "; " + outcome.stuck);
    for (const std::string& one : outcome.first) fmt::print("  {}\n", one);
  }
  return right ? kExitOk : kExitFailed;
}

}  // namespace allnorm::tools
