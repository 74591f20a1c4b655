// Litmus tests: small kernels, written in the test, that run on a Machine under many seeds; what they give is
// collected.
//
// A kernel's text follows a preamble that gives it Params, word(params, i), the i-th 32-bit word of memory that all
// GPUs share, and result(params, i, value). Both begin as zeros.
#ifndef ALLNORM_TESTS_SIM_LITMUS_H_
#define ALLNORM_TESTS_SIM_LITMUS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "device/sim/host_library.h"
#include "device/sim/machine.h"

namespace allnorm::sim_tests {

/// Kernels of one text, compiled and loaded: made once in a process, as a static local.
class LitmusKernels {
 public:
  /// Throws kCompiler with what the compiler says.
  explicit LitmusKernels(std::string_view text);
  LitmusKernels(const LitmusKernels&) = delete;
  LitmusKernels& operator=(const LitmusKernels&) = delete;

  struct Shape {
    unsigned threads = 1;
    unsigned ctas = 1;
    bool dependent = false;  ///< Launched as one.
  };
  /// Stays where it is.
  const sim::Kernel& get(const std::string& name, Shape shape);
  const sim::Kernel& get(const std::string& name) { return get(name, Shape{}); }
  /// "litmus.cc:12", the line that ends with the comment "// marker"; throws std::invalid_argument if none does.
  std::string line(const std::string& marker) const;

 private:
  std::string source_;
  std::unique_ptr<sim::HostLibrary> library_;
  std::map<std::tuple<std::string, unsigned, unsigned, bool>, sim::Kernel> kernels_;
};

using Outcome = std::vector<std::uint32_t>;

/// A machine with memory for the kernels, and a stream for each rank. Rank r runs on GPU r mod devices.
class Bench {
 public:
  static constexpr unsigned kWords = 4096;
  static constexpr unsigned kResults = 4096;
  static constexpr std::uint64_t kStepBudget = 1'000'000;

  explicit Bench(int devices = 1, unsigned multiprocessors = 4, int ranks = 4);

  sim::Machine& machine() noexcept { return machine_; }
  sim::Stream* stream(int rank) const { return streams_[static_cast<std::size_t>(rank)]; }
  sim::KernelParams params(int rank) const;
  void launch(const sim::Kernel& kernel, int rank = 0, unsigned clusters = 1);
  /// The first n results.
  Outcome results(unsigned n);
  std::uint32_t word(unsigned i);
  void set_word(unsigned i, std::uint32_t value);
  /// Zeros, and the schedule, with a step budget unless it has its own.
  void reset(const sim::Schedule& schedule);

  /// Launches and runs to the end. Empty, or the message of the kSimulation that it throws.
  std::string run(const sim::Schedule& schedule, const std::function<void(Bench&)>& launches);
  /// What the first n results are under seeds 1 to `seeds`. Throws what a run throws.
  std::set<Outcome> outcomes(unsigned n, const std::function<void(Bench&)>& launches,
                             const sim::Schedule& schedule = {}, std::uint64_t seeds = 300);

 private:
  sim::Machine machine_;
  std::vector<sim::Stream*> streams_;
  void* words_;
  void* results_;
};

/// One result of each outcome.
std::set<std::uint32_t> column(const std::set<Outcome>& outcomes, std::size_t which);

sim::Schedule with_seed(std::uint64_t seed);
sim::Schedule without_stale_loads();

/// Every run that Policy::kReplay can make, one after another: the last decision that has another choice takes it.
/// Gives how many there were, nothing if there are more than `most`.
std::optional<std::size_t> search_all(Bench& bench, const std::function<void(Bench&)>& launches,
                                      const std::function<void(Bench&)>& look, std::size_t most);

}  // namespace allnorm::sim_tests

#endif  // ALLNORM_TESTS_SIM_LITMUS_H_
