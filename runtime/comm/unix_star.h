// StarOfSockets: a Bootstrap over connected sockets, one from each rank to rank 0.
#ifndef ALLNORM_COMM_UNIX_STAR_H_
#define ALLNORM_COMM_UNIX_STAR_H_

#include <string>
#include <string_view>
#include <vector>

#include "comm/bootstrap.h"
#include "comm/unix_bootstrap.h"
#include "comm/unix_socket.h"

namespace allnorm {

inline constexpr int kMaxGroupSize = 72;

class StarOfSockets final : public Bootstrap {
 public:
  explicit StarOfSockets(const UnixGroup& group);
  ~StarOfSockets() override;

  int rank() const noexcept override { return group_.rank; }
  int world_size() const noexcept override { return group_.world_size; }
  std::vector<std::string> all_gather(std::string_view mine) override;

  /// How long this rank waits for another: rank 0 for the group's timeout, the others so much longer that they hear of
  /// whom rank 0 has given up.
  std::chrono::milliseconds patience() const noexcept;
  /// False if that rank is there already.
  bool add(int rank, Descriptor socket);
  /// Somebody who is no rank of the group, but is to hear why it fails.
  void add_stranger(Descriptor socket) { stranger_ = std::move(socket); }
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
  Descriptor stranger_;
  std::string failure_;
};

}  // namespace allnorm

#endif  // ALLNORM_COMM_UNIX_STAR_H_
