// Schedule: what decides the order of things in a simulated run, so that any run can be repeated.
//
// Plain values.
#ifndef ALLNORM_DEVICE_SIM_SCHEDULE_H_
#define ALLNORM_DEVICE_SIM_SCHEDULE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace allnorm::sim {

enum class Policy : std::uint8_t {
  kRandom,      ///< Everything by chance; how often threads change, stores arrive and loads are stale, too.
  kRoundRobin,  ///< Warps in turn, stores in the order in which they were issued.
  kStarve,      ///< As kRandom, but `starved_rank` runs, and its stores arrive, hardly ever while others can go on.
  kReplay,      ///< Takes the choices given, then always the first: what an exhaustive search goes through.
};

const char* to_string(Policy policy) noexcept;

/// Holds threads when they come to a point for the `occurrence`-th time.
struct Stall {
  int rank = -1;    ///< -1: any.
  int cta = -1;     ///< -1: any.
  int thread = -1;  ///< -1: any.
  /// The name of an operation ("store", "barrier_cluster_wait"; see operation_names()), of which "start" is before all
  /// others, or a line of kernels_src ("protocol.cuh:95").
  std::string point;
  std::uint64_t occurrence = 1;
  /// For how long: steps of the scheduler, or simulated time, which goes on only when nothing else can. Both 0: for
  /// ever.
  std::uint64_t steps = 0;
  std::uint64_t milliseconds = 0;
};

/// "rank=1,cta=0,thread=5,at=barrier_cta,occurrence=2,steps=1000" (or milliseconds=5); what is left out is any, the
/// first, for ever. Throws kInvalidArgument.
Stall parse_stall(const std::string& text);

struct Schedule {
  std::uint64_t seed = 1;
  Policy policy = Policy::kRandom;
  int starved_rank = 0;
  bool stale_loads = true;  ///< Loads may give what was overwritten, where PTX allows it.
  /// The elements of a vector store arrive one by one. A replay without has far fewer schedules: stores to a GPU's own
  /// memory then arrive at once as well.
  bool split_vectors = true;
  std::uint64_t step_budget = 0;  ///< A run that takes more steps is an error; 0: no limit.
  std::vector<Stall> stalls;
  std::vector<std::uint32_t> replay;  ///< kReplay.
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_SCHEDULE_H_
