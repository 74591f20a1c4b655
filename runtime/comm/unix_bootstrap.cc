#include "comm/unix_bootstrap.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <thread>

#include "allnorm/error.h"
#include "allnorm/types.h"
#include "cache/file_system.h"
#include "comm/nonce.h"
#include "comm/unix_socket.h"
#include "comm/unix_star.h"

namespace allnorm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPause(10);
/// Who has connected says who he is at once.
constexpr milliseconds kLongestHello(2000);
constexpr std::size_t kMaxHello = 256;

struct Hello {
  Nonce nonce;
  std::int32_t rank;
  std::int32_t world_size;
};

void check(const UnixGroup& group) {
  const auto refuse = [](const char* name, const std::string& given, const std::string& allowed) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {} given, allowed: {}", name, given, allowed));
  };
  const bool named = !group.session.empty() && group.session.front() != '.' &&
                     std::all_of(group.session.begin(), group.session.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
                     });
  if (!group.directory.starts_with('/')) refuse("directory", group.directory, "an absolute path");
  constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;
  // There, and in the letterbox of a descriptor exchange.
  const std::size_t path = group.directory.size() +
                           std::max(group.session.size() + std::strlen("/.socket"), std::strlen("/allnorm-XXXXXX/s"));
  if (path > kLongestPath) {
    refuse("directory", fmt::format("{}, {} bytes with the session {}", group.directory, path, group.session),
           fmt::format("at most {}: choose a shorter directory", kLongestPath));
  }
  if (!named) refuse("session", group.session, "letters, digits, '.', '_' and '-'");
  if (group.world_size < 1 || group.world_size > kMaxWorldSize) {
    refuse("world_size", fmt::format("{}", group.world_size), fmt::format("1 to {}", kMaxWorldSize));
  }
  if (group.rank < 0 || group.rank >= group.world_size) {
    refuse("rank", fmt::format("{}", group.rank), "0 to world_size - 1");
  }
  if (group.timeout <= milliseconds(0)) refuse("timeout", fmt::format("{} ms", group.timeout.count()), "more than 0");
}

/// The two files of a session, gone with the object.
class MeetingPlace {
 public:
  explicit MeetingPlace(const UnixGroup& group)
      : socket_(group.directory + "/" + group.session + ".socket"),
        nonce_(group.directory + "/" + group.session + ".nonce") {}
  MeetingPlace(const MeetingPlace&) = delete;
  MeetingPlace& operator=(const MeetingPlace&) = delete;
  ~MeetingPlace() { leave(); }

  /// Rank 0's: after this others can find it. Throws kPeer.
  Descriptor open(const Nonce& nonce) {
    if (connect_to(socket_)) {
      throw Error(ErrorCode::kPeer, fmt::format("another group meets at {}; give each its own session", socket_));
    }
    is_ours_ = true;
    ::unlink(socket_.c_str());  // of a process that was killed
    Descriptor listener = listen_at(socket_);
    std::string reason;
    if (!files().publish(nonce_, {nonce.data(), nonce.size()}, reason)) throw Error(ErrorCode::kPeer, reason);
    return listener;
  }
  /// Nothing while rank 0 is not there.
  std::optional<Nonce> read_nonce() const {
    const cache::ReadResult file = files().read(nonce_);
    if (file.status == cache::ReadResult::Status::kUntrusted) throw Error(ErrorCode::kPeer, file.reason);
    Nonce nonce{};
    if (file.bytes.size() != nonce.size()) return std::nullopt;
    std::copy(file.bytes.begin(), file.bytes.end(), nonce.begin());
    return nonce;
  }
  std::optional<Descriptor> connect() const { return connect_to(socket_); }
  void leave() noexcept {
    if (!is_ours_) return;
    ::unlink(socket_.c_str());
    ::unlink(nonce_.c_str());
    is_ours_ = false;
  }

 private:
  static cache::FileSystem& files() { return cache::FileSystem::real(); }
  std::string socket_;
  std::string nonce_;
  bool is_ours_ = false;
};

/// Rank 0 lets the others in. What is no rank of this group is turned away, and disturbs nobody.
void gather_ranks(const UnixGroup& group, const Descriptor& listener, const Nonce& nonce, Deadline deadline,
                  StarOfSockets& star) {
  while (!star.missing().empty()) {
    std::optional<Descriptor> socket = accept_from(listener, deadline);
    if (!socket) {
      star.fail(fmt::format("rank {} did not come within {} ms", fmt::join(star.missing(), ", rank "),
                            group.timeout.count()));
    }
    Frame frame{};
    const Deadline soon = std::min(deadline, steady_clock::now() + kLongestHello);
    Hello hello{};
    if (receive_frame(*socket, frame, kMaxHello, soon) != Transfer::kDone || frame.kind != FrameKind::kHello ||
        frame.bytes.size() != sizeof(hello)) {
      continue;
    }
    std::memcpy(&hello, frame.bytes.data(), sizeof(hello));
    if (hello.nonce != nonce) continue;
    std::string wrong;
    if (hello.world_size != group.world_size) {
      wrong = fmt::format("a rank {} of {} came to a group of {}", hello.rank, hello.world_size, group.world_size);
    } else if (hello.rank < 1 || hello.rank >= group.world_size || star.has(hello.rank)) {
      wrong = fmt::format("rank {} came twice", hello.rank);
    } else {
      star.add(hello.rank, std::move(*socket));
      continue;
    }
    send_frame(*socket, FrameKind::kError, wrong, soon);  // It is no rank of the star's.
    star.fail(wrong);
  }
}

/// The others find rank 0, which may not have come yet.
Descriptor find_rank_0(const UnixGroup& group, const MeetingPlace& place, Deadline deadline) {
  while (steady_clock::now() < deadline) {
    if (const auto nonce = place.read_nonce()) {
      if (std::optional<Descriptor> socket = place.connect()) {
        const Hello hello{*nonce, group.rank, group.world_size};
        const std::string_view bytes(reinterpret_cast<const char*>(&hello), sizeof(hello));
        Frame frame{};
        if (send_frame(*socket, FrameKind::kHello, bytes, deadline) == Transfer::kDone) {
          const Transfer transfer = receive_frame(*socket, frame, Bootstrap::kMaxBytes, deadline);
          if (transfer == Transfer::kDone && frame.kind == FrameKind::kError)
            throw Error(ErrorCode::kPeer, frame.bytes);
          if (transfer == Transfer::kDone && frame.kind == FrameKind::kWelcome) return std::move(*socket);
          if (transfer == Transfer::kLate) break;
          // Else an older session's nonce, or a rank 0 that is starting again.
        }
      }
    }
    std::this_thread::sleep_for(kPause);
  }
  throw Error(ErrorCode::kPeer, fmt::format("rank 0 did not come within {} ms", group.timeout.count()));
}

}  // namespace

std::unique_ptr<Bootstrap> meet(const UnixGroup& group) {
  check(group);
  const auto step = [&](const char* name) {
    if (group.on_step) group.on_step(name);
  };
  auto star = std::make_unique<StarOfSockets>(group);
  const Deadline deadline = steady_clock::now() + star->patience();
  step("find the directory");
  std::string reason;
  cache::FileSystem& files = cache::FileSystem::real();
  if (!files.make_private_directories(group.directory, reason) ||
      !files.is_private_directory(group.directory, reason)) {
    throw Error(ErrorCode::kPeer, reason);
  }
  MeetingPlace place(group);
  if (group.rank == 0) {
    const Nonce nonce = new_nonce();
    step("listen");
    const Descriptor listener = place.open(nonce);
    step("let the ranks in");
    gather_ranks(group, listener, nonce, deadline, *star);
    place.leave();
    step("welcome the ranks");
    star->welcome();
  } else {
    step("find rank 0");
    star->add(0, find_rank_0(group, place, deadline));
  }
  return star;
}

}  // namespace allnorm
