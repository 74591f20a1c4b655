#include "comm/unix_star.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "allnorm/error.h"

namespace allnorm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// For telling of a failure, which a rank that stands still does not read.
constexpr milliseconds kLastWord(200);

std::string pack(const std::vector<std::string>& all) {
  std::string bytes;
  for (const std::string& one : all) {
    const std::uint64_t length = one.size();
    bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
    bytes += one;
  }
  return bytes;
}

/// False if that is not what pack() makes of so many.
bool unpack(std::string_view bytes, std::size_t count, std::vector<std::string>& all) {
  while (all.size() < count) {
    std::uint64_t length = 0;
    if (bytes.size() < sizeof(length)) return false;
    std::memcpy(&length, bytes.data(), sizeof(length));
    bytes.remove_prefix(sizeof(length));
    if (length > bytes.size()) return false;
    all.emplace_back(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  return bytes.empty();
}

}  // namespace

StarOfSockets::StarOfSockets(const UnixGroup& group)
    : group_(group), sockets_(static_cast<std::size_t>(group.rank == 0 ? group.world_size : 1)) {}

milliseconds StarOfSockets::patience() const noexcept {
  return rank() == 0 ? group_.timeout : group_.timeout + group_.timeout / 4;
}

std::vector<int> StarOfSockets::missing() const {
  std::vector<int> ranks;
  for (int rank = 1; rank < world_size(); rank++) {
    if (!has(rank)) ranks.push_back(rank);
  }
  return ranks;
}

void StarOfSockets::welcome() { give_all(FrameKind::kWelcome, {}, steady_clock::now() + patience()); }

void StarOfSockets::fail(const std::string& message) {
  failure_ = message;
  if (rank() == 0) {
    const Deadline soon = steady_clock::now() + kLastWord;
    for (const Descriptor& socket : sockets_) {
      if (socket) send_frame(socket, FrameKind::kError, message, soon);
    }
  }
  throw Error(ErrorCode::kPeer, message);
}

void StarOfSockets::step(const char* name) {
  if (group_.on_step) group_.on_step(name);
}

std::vector<std::string> StarOfSockets::all_gather(std::string_view mine) {
  if (!failure_.empty()) throw Error(ErrorCode::kPeer, failure_);
  if (mine.size() > kMaxBytes) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("all_gather: {} bytes given, allowed: at most {}", mine.size(), kMaxBytes));
  }
  step("gather");
  if (rank() != 0) return ask_rank_0(mine);
  std::vector<std::string> all(static_cast<std::size_t>(world_size()));
  all[0] = mine;
  gather_at_rank_0(all);
  step("give");
  give_all(FrameKind::kResult, pack(all), steady_clock::now() + patience());
  return all;
}

/// Whoever is ready is heard first, so that a rank which has gone is noticed while another is waited for.
void StarOfSockets::gather_at_rank_0(std::vector<std::string>& all) {
  const Deadline deadline = steady_clock::now() + patience();
  std::vector<pollfd> waiting;
  for (const Descriptor& socket : sockets_) waiting.push_back({socket ? socket.get() : -1, POLLIN, 0});
  for (auto left = static_cast<int>(waiting.size()) - 1; left > 0;) {
    const auto time = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
    const int ready = time <= 0 ? 0 : ::poll(waiting.data(), waiting.size(), static_cast<int>(time));
    if (ready < 0 && errno == EINTR) continue;
    for (std::size_t rank = 1; rank < waiting.size(); rank++) {
      if (waiting[rank].fd < 0 || (ready > 0 && waiting[rank].revents == 0)) continue;
      if (ready <= 0) fail(fmt::format("rank {} said nothing for {} ms", rank, group_.timeout.count()));
      Frame frame{};
      const Transfer transfer = receive_frame(sockets_[rank], frame, kMaxBytes, deadline);
      if (transfer == Transfer::kClosed) fail(fmt::format("rank {} has gone: its process ended, or it gave up", rank));
      if (transfer == Transfer::kLate)
        fail(fmt::format("rank {} said nothing for {} ms", rank, group_.timeout.count()));
      if (transfer != Transfer::kDone || frame.kind != FrameKind::kData) {
        fail(fmt::format("rank {} said what nobody understands", rank));
      }
      all[rank] = std::move(frame.bytes);
      waiting[rank].fd = -1;
      left--;
    }
  }
}

void StarOfSockets::give_all(FrameKind kind, std::string_view bytes, Deadline deadline) {
  for (std::size_t rank = 1; rank < sockets_.size(); rank++) {
    // What all have said is said: a rank that has gone since is the next gather's to find, for all alike.
    if (send_frame(sockets_[rank], kind, bytes, deadline) != Transfer::kDone)
      ::shutdown(sockets_[rank].get(), SHUT_RDWR);
  }
}

std::vector<std::string> StarOfSockets::ask_rank_0(std::string_view mine) {
  const Deadline deadline = steady_clock::now() + patience();
  // Rank 0 may have failed, and closed, before it read this: its last word is there all the same.
  send_frame(sockets_[0], FrameKind::kData, mine, deadline);
  Frame frame{};
  const std::size_t most = static_cast<std::size_t>(world_size()) * (kMaxBytes + sizeof(std::uint64_t));
  const Transfer transfer = receive_frame(sockets_[0], frame, most, deadline);
  if (transfer == Transfer::kClosed) fail("rank 0 has gone: its process ended, or it gave up");
  if (transfer == Transfer::kLate) fail(fmt::format("rank 0 said nothing for {} ms", group_.timeout.count()));
  if (transfer == Transfer::kDone && frame.kind == FrameKind::kError) fail(frame.bytes);
  std::vector<std::string> all;
  if (transfer != Transfer::kDone || frame.kind != FrameKind::kResult ||
      !unpack(frame.bytes, static_cast<std::size_t>(world_size()), all)) {
    fail("rank 0 said what nobody understands");
  }
  return all;
}

}  // namespace allnorm
