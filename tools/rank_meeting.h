// RankMeeting: the ranks of a world take steps together. An error of one is an error of all, and nobody waits for who
// will not come.
//
// The ranks of this process have a thread each; where there is a Bootstrap, the other ranks are other processes, and
// this one has a single rank. All ranks take the same steps in the same order.
#ifndef ALLNORM_TOOLS_RANK_MEETING_H_
#define ALLNORM_TOOLS_RANK_MEETING_H_

#include <barrier>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "allnorm/bootstrap.h"
#include "allnorm/error.h"

namespace allnorm::tools {

class RankMeeting {
 public:
  /// `bootstrap` is null where all ranks are in this process.
  RankMeeting(std::size_t ranks_here, Bootstrap* bootstrap);
  RankMeeting(const RankMeeting&) = delete;
  RankMeeting& operator=(const RankMeeting&) = delete;

  /// body(rank) on a thread for each rank here, counted from 0. Throws what a step threw, on any rank of the world.
  void run(const std::function<void(std::size_t rank)>& body);

  /// A step, within run(): waits until every rank has taken it, and gives the largest of what they gave. Where any
  /// rank's throws, all throw an Error, of its code and words.
  double largest(std::size_t rank, const std::function<double()>& step);
  /// The same for a step that gives nothing.
  void together(std::size_t rank, const std::function<void()>& step);

 private:
  struct Outcome {
    double value = 0;
    std::optional<Error> error;
  };
  /// What the barrier does when all threads have come.
  struct Merge {
    RankMeeting* meeting;
    void operator()() const noexcept { meeting->merge(); }
  };
  void merge() noexcept;
  void hear_other_processes();

  Bootstrap* bootstrap_;
  std::vector<Outcome> outcomes_;  ///< Of each rank here, in this step.
  Outcome merged_;                 ///< Of all ranks; stays until every thread has come to the next step.
  std::barrier<Merge> barrier_;
};

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_RANK_MEETING_H_
