// CallbackBootstrap: a Bootstrap over the all-gather that a program has already, such as torch.distributed's or MPI's.
//
// The callback keeps the promises of Bootstrap as far as it can: what it throws is what the caller gets.
#ifndef ALLNORM_COMM_CALLBACK_BOOTSTRAP_H_
#define ALLNORM_COMM_CALLBACK_BOOTSTRAP_H_

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "allnorm/error.h"
#include "comm/bootstrap.h"

namespace allnorm {

class CallbackBootstrap final : public Bootstrap {
 public:
  /// Gives each rank's bytes, by rank; they differ in length.
  using AllGather = std::function<std::vector<std::string>(std::string_view mine)>;

  CallbackBootstrap(int rank, int world_size, AllGather all_gather)
      : rank_(rank), world_size_(world_size), all_gather_(std::move(all_gather)) {}

  int rank() const noexcept override { return rank_; }
  int world_size() const noexcept override { return world_size_; }
  std::vector<std::string> all_gather(std::string_view mine) override {
    std::vector<std::string> all = all_gather_(mine);
    if (all.size() != static_cast<std::size_t>(world_size_) || all[static_cast<std::size_t>(rank_)] != mine) {
      throw Error(ErrorCode::kPeer,
                  fmt::format("the all_gather callback gave {} values to rank {} of {}, or not its own in its place",
                              all.size(), rank_, world_size_));
    }
    return all;
  }

 private:
  int rank_;
  int world_size_;
  AllGather all_gather_;
};

}  // namespace allnorm

#endif  // ALLNORM_COMM_CALLBACK_BOOTSTRAP_H_
