// StarOfSockets: a Bootstrap over connected sockets, one from each rank to rank 0.
#ifndef ALLNORM_COMM_UNIX_STAR_H_
#define ALLNORM_COMM_UNIX_STAR_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "allnorm/bootstrap.h"
#include "comm/unix_bootstrap.h"
#include "comm/unix_socket.h"

namespace allnorm {

class StarOfSockets final : public Bootstrap {
 public:
  explicit StarOfSockets(const UnixGroup& group);

  int rank() const noexcept override { return group_.rank; }
  int world_size() const noexcept override { return group_.world_size; }
  std::string host_directory() const override { return group_.directory; }
  std::vector<std::string> all_gather(std::string_view mine) override;

  /// How long this rank waits for another: rank 0 for the group's timeout, the others so much longer that they hear of
  /// whom rank 0 has given up.
  std::chrono::milliseconds patience() const noexcept;
  bool has(int rank) const { return static_cast<bool>(sockets_[static_cast<std::size_t>(rank)]); }
  void add(int rank, Descriptor socket) { sockets_[static_cast<std::size_t>(rank)] = std::move(socket); }
  std::vector<int> missing() const;
  /// Rank 0 tells all that all have come. Throws kPeer.
  void welcome();
  /// Tells every rank, and throws kPeer with this message, now and from every later call.
  [[noreturn]] void fail(const std::string& message);

 private:
  void gather_at_rank_0(std::vector<std::string>& all);
  void give_all(FrameKind kind, std::string_view bytes, Deadline deadline);
  std::vector<std::string> ask_rank_0(std::string_view mine);
  void step(const char* name);

  UnixGroup group_;
  std::vector<Descriptor> sockets_;  ///< At rank 0: by rank; elsewhere: to rank 0 alone.
  std::string failure_;
};

}  // namespace allnorm

#endif  // ALLNORM_COMM_UNIX_STAR_H_
