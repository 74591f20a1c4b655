// What a World is inside: the ranks that this process has, and what they have mapped of the others.
#ifndef ALLNORM_COMM_WORLD_IMPL_H_
#define ALLNORM_COMM_WORLD_IMPL_H_

#include <memory>
#include <vector>

#include "allnorm/bootstrap.h"
#include "comm/group_memory.h"
#include "comm/workspace_impl.h"

namespace allnorm {

class World::Impl {
 public:
  /// All ranks in this process.
  Impl(Context::Impl& context, const WorldOptions& options);
  /// One rank in this process; all ranks' processes do this together.
  Impl(Context::Impl& context, Bootstrap& bootstrap, int device, const WorldOptions& options);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  int size() const noexcept { return size_; }
  int first_rank() const noexcept { return first_rank_; }
  std::vector<std::unique_ptr<Workspace>>& ranks() noexcept { return ranks_; }
  void reset();
  void suspend();
  void resume();

 private:
  void synchronize();
  void renew();
  ExchangePlace exchange_place() const;

  int size_ = 0;
  int first_rank_ = 0;
  Bootstrap* bootstrap_ = nullptr;  ///< Null where all ranks are here.
  std::string meeting_dir_;
  GroupMemory group_;                              ///< The processes' memory.
  std::vector<std::unique_ptr<Workspace>> ranks_;  ///< Of this process: first_rank_ and the next ones.
  std::unique_ptr<DeviceMemory> multicast_;        // after the ranks: it is unmapped before what it stands for
};

}  // namespace allnorm

#endif  // ALLNORM_COMM_WORLD_IMPL_H_
