#include "sim/scenario.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "allnorm/error.h"
#include "api/context_impl.h"
#include "calls/fill_job.h"
#include "calls/verify.h"
#include "comm/workspace_impl.h"
#include "jit/embedded.h"

namespace allnorm::sim_tests {
namespace {

using calls::AnyCall;
using calls::Case;
using calls::Placement;

/// A folder with the mutated kernel sources, removed with the object.
class MutatedSources {
 public:
  explicit MutatedSources(const std::vector<Replacement>& mutation) {
    if (mutation.empty()) return;
    std::string pattern = std::filesystem::temp_directory_path() / "allnorm-mutation-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a folder " + pattern);
    folder_ = pattern;
    std::vector<std::string> left;
    for (const EmbeddedFile& file : embedded_kernel_sources()) {
      std::string text(file.text);
      for (const Replacement& replacement : mutation) {
        if (file.name == replacement.file) replace(text, replacement);
      }
      std::ofstream(folder_ / file.name, std::ios::binary) << text;
    }
  }
  ~MutatedSources() {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }
  MutatedSources(const MutatedSources&) = delete;
  MutatedSources& operator=(const MutatedSources&) = delete;
  std::string folder() const { return folder_.string(); }

 private:
  static void replace(std::string& text, const Replacement& replacement) {
    const std::string original = replacement.original;
    const std::size_t at = text.find(original);
    if (at == std::string::npos || text.find(original, at + 1) != std::string::npos) {
      throw std::invalid_argument(
          fmt::format("mutation: in {} this must occur once, and does not: {}", replacement.file, original));
    }
    text.replace(at, original.size(), replacement.mutated);
  }

  std::filesystem::path folder_;
};

std::unique_ptr<Context> make_context(const Scenario& scenario, const std::string& kernel_dir,
                                      const std::string& cache_directory) {
  ContextOptions options;
  options.cache_directory = cache_directory;
  options.table_path = scenario.table_path;
  Env env = Env::from_process();
  // Neither who runs the tests nor the site has a say: nothing here is the machine's.
  env.multicast = env.checked = env.multicast_forbidden = false;
  env.kernel_dir = kernel_dir;
  if (cache_directory.empty()) env.cache.mode = cache::Mode::kOff;
  sim::MachineOptions machine;
  machine.devices = (scenario.world_size + scenario.ranks_per_gpu - 1) / scenario.ranks_per_gpu;
  machine.multiprocessors = scenario.multiprocessors;
  return std::make_unique<Context>(std::make_unique<Context::Impl>(options, env, machine));
}

WorldOptions world_options(const Scenario& scenario) {
  WorldOptions options;
  for (int rank = 0; rank < scenario.world_size; rank++) options.devices.push_back(rank / scenario.ranks_per_gpu);
  options.max_row_bytes = scenario.max_row_bytes;
  options.max_tokens_one_shot = scenario.max_tokens;
  for (const Case& c : scenario.calls) {
    const auto row_bytes = static_cast<std::int64_t>(c.hidden_dim) * static_cast<std::int64_t>(size_of(c.dtype));
    options.max_row_bytes = std::max(options.max_row_bytes, row_bytes);
    options.max_tokens_one_shot = std::max(options.max_tokens_one_shot, c.tokens);
  }
  options.max_tokens_two_shot = options.max_tokens_one_shot;
  options.timeout_seconds = scenario.timeout_seconds;
  options.multicast = scenario.multicast;
  options.checked = scenario.checked;
  return options;
}

}  // namespace

class Simulation::Impl {
 public:
  Impl(const Scenario& scenario, const Options& options)
      : scenario_(scenario),
        sources_(options.mutation),
        context_(make_context(scenario, sources_.folder(), options.cache_directory)),
        machine_(*context_->impl().machine()),
        world_(std::make_unique<World>(*context_, world_options(scenario))) {
    if (world_->own().uses_multicast() != (scenario.multicast && scenario.world_size > 1)) {
      throw std::runtime_error("the World stores by multicast where the scenario does not, or the other way round");
    }
    place();
    for (int rank = 0; rank < scenario_.world_size; rank++) {
      Rank& mine = ranks_.emplace_back();
      Workspace& workspace = world_->rank(rank);
      mine.device = workspace.device();
      mine.stream = machine_.create_stream(mine.device, true);
      mine.memory = static_cast<std::byte*>(
          machine_.allocate(image_bytes_, mine.device, sim::Machine::Reach::kOwnDevice, "tensors of the test"));
      workspace.impl().force_geometry(scenario_.geometry);
      workspace.impl().force_extra_clusters(scenario_.extra_clusters);
      fill_image(rank, mine);
      for (std::size_t i = 0; i < scenario_.calls.size(); i++) {
        mine.calls.push_back(calls::make_call(scenario_.calls[i], placements_[i], mine.memory));
      }
      if (scenario_.again_with_tokens) {
        mine.calls.push_back(calls::with_tokens(mine.calls.back(), *scenario_.again_with_tokens));
      }
      for (const AnyCall& call : mine.calls) calls::prepare_call(workspace, call);
    }
    make_expected();
  }

  std::string run(const sim::Schedule& schedule) {
    try {
      world_->reset();
      sim::Schedule with_stalls = schedule;
      with_stalls.stalls.insert(with_stalls.stalls.end(), scenario_.stalls.begin(), scenario_.stalls.end());
      machine_.set_schedule(with_stalls);
      for (Rank& rank : ranks_) machine_.write(rank.memory, rank.image.data(), rank.image.size());
      for (std::size_t i = 0; i < ranks_.front().calls.size(); i++) {
        for (int rank = 0; rank < scenario_.world_size; rank++) {
          if (is_silent(rank)) continue;
          Rank& mine = ranks_[static_cast<std::size_t>(rank)];
          calls::enqueue(world_->rank(rank), mine.calls[i], mine.stream);
        }
      }
      if (std::string failure = finish(); !failure.empty()) return failure;
      return scenario_.outcome == Scenario::Outcome::kReference ? check_reference() : check_timeout();
    } catch (const Error& error) {
      return error.what();
    }
  }

  std::vector<WorkspaceStatus> statuses() {
    std::vector<WorkspaceStatus> result;
    for (int rank = 0; rank < scenario_.world_size; rank++) result.push_back(world_->rank(rank).status());
    return result;
  }

  std::vector<std::vector<std::vector<std::uint8_t>>> outputs() {
    std::vector<std::vector<std::vector<std::uint8_t>>> result;
    for (const Rank& rank : ranks_) {
      const std::vector<std::uint8_t> image = read(rank);
      auto& of_rank = result.emplace_back();
      for (const Placement& p : placements_) {
        const auto begin = image.begin() + static_cast<std::ptrdiff_t>(p.outputs.offset);
        of_rank.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(p.outputs.bytes));
      }
    }
    return result;
  }

  Strategy strategy_of(std::size_t call) {
    const Case& c = scenario_.calls[call];
    const Workspace::Impl& workspace = world_->rank(0).impl();
    const CallShape shape = {c.allreduce_only ? Operation::kAllReduce : Operation::kFused, c.dtype, c.quant,
                             c.hidden_dim, c.tokens};
    return workspace.dispatcher().choose(shape, c.strategy, workspace.capacity).strategy;
  }

  sim::Machine& machine() { return machine_; }

 private:
  struct Rank {
    int device = 0;
    sim::Stream* stream = nullptr;
    std::byte* memory = nullptr;
    std::vector<std::uint8_t> image;  ///< Before a run: inputs, and poison in the outputs.
    std::vector<AnyCall> calls;
  };

  bool is_silent(int rank) const {
    return std::find(scenario_.silent_ranks.begin(), scenario_.silent_ranks.end(), rank) !=
           scenario_.silent_ranks.end();
  }

  void place() {
    calls::Layout layout;
    for (const Case& c : scenario_.calls) placements_.push_back(calls::place_outputs(c, layout));
    output_bytes_ = layout.size();
    for (std::size_t i = 0; i < scenario_.calls.size(); i++) {
      calls::place_inputs(scenario_.calls[i], layout, placements_[i]);
    }
    image_bytes_ = layout.size();
  }

  void fill_image(int rank, Rank& mine) {
    mine.image.assign(image_bytes_, calls::kPoison);
    std::vector<calls::FillJob> jobs;
    for (std::size_t i = 0; i < scenario_.calls.size(); i++) {
      // Jobs name offsets: they are filled here, not on the device.
      calls::add_fill_jobs(scenario_.calls[i], placements_[i], nullptr, rank, false, jobs);
    }
    for (const calls::FillJob& job : jobs) {
      calls::fill_on_host(job, mine.image.data() + reinterpret_cast<std::uintptr_t>(job.data));
    }
  }

  void make_expected() {
    if (scenario_.outcome != Scenario::Outcome::kReference) return;
    for (std::size_t i = 0; i < scenario_.calls.size(); i++) {
      expected_.push_back(calls::expected_outputs(scenario_.calls[i], placements_[i], scenario_.calls[i].seed));
    }
    if (!scenario_.again_with_tokens) return;
    // A token's bytes do not depend on the others', so only the padding of its scales differs: fewer rows are tokens.
    Case fewer = scenario_.calls.back();
    const Placement& p = placements_.back();
    fewer.tokens = *scenario_.again_with_tokens;
    calls::Layout layout;
    const Placement small = calls::place_outputs(fewer, layout);
    if (small.scale_out.bytes != p.scale_out.bytes) throw std::invalid_argument("again_with_tokens: another tile");
    const std::vector<std::uint8_t> image = calls::expected_outputs(fewer, small, fewer.seed);
    const auto from = image.begin() + static_cast<std::ptrdiff_t>(small.scale_out.offset - small.outputs.offset);
    std::copy(from, from + static_cast<std::ptrdiff_t>(small.scale_out.bytes),
              expected_.back().begin() + static_cast<std::ptrdiff_t>(p.scale_out.offset - p.outputs.offset));
  }

  /// Runs to the end. A poison that a rank sees must come with its report (rule 9).
  std::string finish() {
    if (scenario_.steps_between_looks == 0) {
      machine_.synchronize_all();
      return "";
    }
    for (bool more = true; more;) {
      more = machine_.run(scenario_.steps_between_looks);
      for (int rank = 0; rank < scenario_.world_size; rank++) {
        const WorkspaceStatus status = world_->rank(rank).status();
        if (status.healthy || status.code != ErrorCode::kTimeout || status.waited_for >= 0) continue;
        return fmt::format("rank {} is poisoned without a report: {}", rank, status.message);
      }
    }
    return "";
  }

  std::vector<std::uint8_t> read(const Rank& rank) {
    std::vector<std::uint8_t> image(output_bytes_);
    machine_.read(image.data(), rank.memory, image.size());
    return image;
  }

  std::string check_reference() {
    std::vector<std::vector<std::uint8_t>> images;
    for (const Rank& rank : ranks_) images.push_back(read(rank));
    for (int rank = 0; rank < scenario_.world_size; rank++) {
      const WorkspaceStatus status = world_->rank(rank).status();
      if (!status.healthy) return fmt::format("rank {}: {}", rank, status.message);
    }
    for (std::size_t i = 0; i < expected_.size(); i++) {
      for (std::size_t rank = 0; rank < images.size(); rank++) {
        const auto got = images[rank].begin() + static_cast<std::ptrdiff_t>(placements_[i].outputs.offset);
        const auto [at, wanted] =
            std::mismatch(got, got + static_cast<std::ptrdiff_t>(expected_[i].size()), expected_[i].begin());
        if (wanted == expected_[i].end()) continue;
        return fmt::format("rank {}, call {}: output byte {} is {:#04x}, the reference has {:#04x} ({})", rank, i,
                           wanted - expected_[i].begin(), *at, *wanted, calls::describe(scenario_.calls[i]));
      }
    }
    return "";
  }

  /// No reference exists for rows that lack a rank: such outputs must be untouched.
  std::string check_timeout() {
    for (int rank = 0; rank < scenario_.world_size; rank++) {
      if (is_silent(rank)) continue;
      const WorkspaceStatus status = world_->rank(rank).status();
      if (status.healthy) return fmt::format("rank {} is healthy, and should have given up", rank);
      const std::vector<std::uint8_t> image = read(ranks_[static_cast<std::size_t>(rank)]);
      const auto touched = std::find_if(image.begin(), image.end(), [](std::uint8_t b) { return b != calls::kPoison; });
      if (touched != image.end() && !scenario_.silent_ranks.empty()) {
        return fmt::format("rank {} has written output byte {} of a row that lacks a rank", rank,
                           touched - image.begin());
      }
    }
    return "";
  }

  Scenario scenario_;
  MutatedSources sources_;
  std::unique_ptr<Context> context_;
  sim::Machine& machine_;
  std::unique_ptr<World> world_;
  std::vector<Placement> placements_;
  std::size_t output_bytes_ = 0;
  std::size_t image_bytes_ = 0;
  std::vector<Rank> ranks_;
  std::vector<std::vector<std::uint8_t>> expected_;  ///< Of each call.
};

Simulation::Simulation(const Scenario& scenario, const Options& options)
    : impl_(std::make_unique<Impl>(scenario, options)) {}
Simulation::~Simulation() = default;

std::string Simulation::run(const sim::Schedule& schedule) { return impl_->run(schedule); }
sim::Statistics Simulation::statistics() { return impl_->machine().statistics(); }
std::vector<sim::Choices::Decision> Simulation::decisions() { return impl_->machine().decisions(); }
std::vector<WorkspaceStatus> Simulation::statuses() { return impl_->statuses(); }
Strategy Simulation::strategy_of(std::size_t call) { return impl_->strategy_of(call); }
std::vector<std::vector<std::vector<std::uint8_t>>> Simulation::outputs() { return impl_->outputs(); }

Scenario standard_scenario() {
  struct Shape {
    Strategy strategy;
    std::int64_t tokens;
    int hidden_dim;
    DataType dtype;
    reference::Pattern pattern;
  };
  constexpr auto kOne = Strategy::kOneShot;
  constexpr auto kTwo = Strategy::kTwoShot;
  constexpr auto kRandom = reference::Pattern::kRandom;
  constexpr auto kZeros = reference::Pattern::kNegativeZeroSubnormal;
  const Shape shapes[] = {{kOne, 3, 64, DataType::kBF16, kRandom}, {kTwo, 3, 64, DataType::kBF16, kZeros},
                          {kOne, 2, 8, DataType::kF32, kZeros},    {kOne, 3, 32, DataType::kF16, kRandom},
                          {kTwo, 3, 8, DataType::kF32, kRandom},   {kTwo, 1, 64, DataType::kBF16, kRandom},
                          {kOne, 3, 64, DataType::kBF16, kZeros},  {kTwo, 3, 32, DataType::kF16, kZeros}};
  Scenario scenario;
  scenario.world_size = 3;
  scenario.multiprocessors = 1;
  for (const Shape& shape : shapes) {
    Case c;
    c.index = static_cast<std::uint32_t>(scenario.calls.size());
    c.seed = c.index + 1;
    c.world_size = scenario.world_size;
    c.hidden_dim = shape.hidden_dim;
    c.dtype = c.gamma_dtype = shape.dtype;
    c.strategy = shape.strategy;
    c.tokens = shape.tokens;
    c.pattern = shape.pattern;
    scenario.calls.push_back(c);
  }
  return scenario;
}

}  // namespace allnorm::sim_tests
