#include "rank_meeting.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <thread>

namespace allnorm::tools {

RankMeeting::RankMeeting(std::size_t ranks_here, Bootstrap* bootstrap)
    : bootstrap_(bootstrap), outcomes_(ranks_here), barrier_(static_cast<std::ptrdiff_t>(ranks_here), Merge{this}) {}

void RankMeeting::run(const std::function<void(std::size_t rank)>& body) {
  std::vector<std::exception_ptr> failures(outcomes_.size());
  const auto run_rank = [&](std::size_t rank) {
    try {
      // The step at the end: whoever failed elsewhere than in a step says so at the next one of the others.
      std::exception_ptr own;
      try {
        body(rank);
      } catch (...) {
        if (merged_.error) throw;
        own = std::current_exception();
      }
      together(rank, [&] {
        if (own) std::rethrow_exception(own);
      });
    } catch (...) {
      failures[rank] = std::current_exception();
    }
  };
  merged_ = {};
  {
    std::vector<std::jthread> others;
    for (std::size_t rank = 1; rank < outcomes_.size(); ++rank) others.emplace_back(run_rank, rank);
    run_rank(0);
  }
  if (failures[0]) std::rethrow_exception(failures[0]);
}

double RankMeeting::largest(std::size_t rank, const std::function<double()>& step) {
  Outcome& own = outcomes_[rank];
  own = {};
  try {
    own.value = step();
  } catch (const Error& error) {
    own.error = error;
  } catch (const std::exception& error) {
    own.error = Error(ErrorCode::kDriver, error.what());
  }
  barrier_.arrive_and_wait();
  if (merged_.error) throw Error(*merged_.error);
  return merged_.value;
}

void RankMeeting::together(std::size_t rank, const std::function<void()>& step) {
  largest(rank, [&] {
    step();
    return 0.0;
  });
}

void RankMeeting::merge() noexcept {
  merged_ = {};
  for (Outcome& outcome : outcomes_) {
    merged_.value = std::max(merged_.value, outcome.value);
    if (outcome.error && !merged_.error) merged_.error = outcome.error;
  }
  if (bootstrap_ == nullptr) return;
  try {
    hear_other_processes();
  } catch (const Error& error) {
    if (!merged_.error) merged_.error = error;
  } catch (const std::exception& error) {
    if (!merged_.error) merged_.error = Error(ErrorCode::kPeer, error.what());
  }
}

void RankMeeting::hear_other_processes() {
  nlohmann::json own = {{"value", merged_.value}};
  if (merged_.error)
    own["error"] = {{"code", static_cast<int>(merged_.error->code())}, {"what", merged_.error->what()}};
  const std::vector<std::string> all = bootstrap_->all_gather(own.dump());
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    const nlohmann::json other = nlohmann::json::parse(all[rank]);
    merged_.value = std::max(merged_.value, other["value"].get<double>());
    if (merged_.error || !other.contains("error")) continue;
    merged_.error = Error(static_cast<ErrorCode>(other["error"]["code"].get<int>()),
                          fmt::format("rank {}: {}", rank, other["error"]["what"].get<std::string>()));
  }
}

}  // namespace allnorm::tools
