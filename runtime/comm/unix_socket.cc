#include "comm/unix_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "allnorm/error.h"

namespace allnorm {
namespace {

constexpr int kBacklog = 128;
constexpr std::uint32_t kMagic = 0x616e6672;

struct FrameHeader {
  std::uint32_t magic;
  FrameKind kind;
  std::uint64_t length;
};

[[noreturn]] void fail(const char* what, const std::string& path) {
  throw Error(ErrorCode::kPeer, fmt::format("{} {}: {}", what, path, std::generic_category().message(errno)));
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the path of a socket: {} has {} bytes, allowed: {}; choose a shorter "
                            "directory",
                            path, path.size(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Descriptor new_socket(const std::string& path) {
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) fail("cannot make a socket for", path);
  return socket;
}

/// False if the deadline passes first.
bool wait_for(const Descriptor& socket, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd entry{socket.get(), events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30)));
    if (ready > 0) return true;
    if (ready == 0 && left <= 0) return false;
    if (ready < 0 && errno != EINTR) return true;  // the call that follows says what it is
  }
}

bool is_of_our_user(const Descriptor& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

template <typename Call>
Transfer repeat(const Descriptor& socket, short events, std::size_t bytes, Deadline deadline, const Call& call) {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t moved = call(done);
    if (moved > 0) {
      done += static_cast<std::size_t>(moved);
    } else if (moved == 0 || (errno != EAGAIN && errno != EINTR)) {
      return Transfer::kClosed;
    } else if (errno == EAGAIN && !wait_for(socket, events, deadline)) {
      return Transfer::kLate;
    }
  }
  return Transfer::kDone;
}

Transfer send_bytes(const Descriptor& socket, std::string_view bytes, Deadline deadline) {
  return repeat(socket, POLLOUT, bytes.size(), deadline, [&](std::size_t done) {
    return ::send(socket.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
  });
}

Transfer receive_bytes(const Descriptor& socket, char* bytes, std::size_t count, Deadline deadline) {
  return repeat(socket, POLLIN, count, deadline,
                [&](std::size_t done) { return ::recv(socket.get(), bytes + done, count - done, 0); });
}

/// A message of these bytes, with room for one descriptor. Points to itself and to them.
struct RightsMessage {
  RightsMessage(char* bytes, std::size_t count) : part{bytes, count} {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
  }
  RightsMessage(const RightsMessage&) = delete;
  RightsMessage& operator=(const RightsMessage&) = delete;
  iovec part;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
};

}  // namespace

Descriptor listen_at(const std::string& path) {
  const sockaddr_un address = address_of(path);
  Descriptor listener = new_socket(path);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    fail("cannot bind", path);
  if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) fail("cannot protect", path);
  if (::listen(listener.get(), kBacklog) != 0) fail("cannot listen at", path);
  return listener;
}

std::optional<Descriptor> connect_to(const std::string& path) {
  const sockaddr_un address = address_of(path);
  Descriptor socket = new_socket(path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN || errno == EINTR) return std::nullopt;
    fail("cannot connect to", path);
  }
  if (!is_of_our_user(socket)) {
    throw Error(ErrorCode::kPeer, fmt::format("another user listens at {}", path));
  }
  return socket;
}

std::optional<Descriptor> accept_from(const Descriptor& listener, Deadline deadline) {
  while (wait_for(listener, POLLIN, deadline)) {
    Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket && is_of_our_user(socket)) return socket;
    if (!socket && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) fail("cannot accept", "a rank");
  }
  return std::nullopt;
}

Transfer send_frame(const Descriptor& socket, FrameKind kind, std::string_view bytes, Deadline deadline) {
  const FrameHeader header{kMagic, kind, bytes.size()};
  std::string whole(reinterpret_cast<const char*>(&header), sizeof(header));
  whole += bytes;
  return send_bytes(socket, whole, deadline);
}

Transfer receive_frame(const Descriptor& socket, Frame& frame, std::size_t max_bytes, Deadline deadline) {
  FrameHeader header{};
  Transfer transfer = receive_bytes(socket, reinterpret_cast<char*>(&header), sizeof(header), deadline);
  if (transfer != Transfer::kDone) return transfer;
  if (header.magic != kMagic || header.length > max_bytes) return Transfer::kGarbage;
  frame.kind = header.kind;
  frame.bytes.resize(header.length);
  return receive_bytes(socket, frame.bytes.data(), header.length, deadline);
}

Transfer send_descriptor(const Descriptor& socket, std::string_view bytes, int fd, Deadline deadline) {
  RightsMessage message(const_cast<char*>(bytes.data()), bytes.size());
  cmsghdr* rights = CMSG_FIRSTHDR(&message.header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &fd, sizeof(int));
  for (;;) {
    const ssize_t sent = ::sendmsg(socket.get(), &message.header, MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return Transfer::kDone;
    if (sent >= 0 || (errno != EAGAIN && errno != EINTR)) return Transfer::kClosed;
    if (errno == EAGAIN && !wait_for(socket, POLLOUT, deadline)) return Transfer::kLate;
  }
}

Transfer receive_descriptor(const Descriptor& socket, std::string& bytes, std::size_t max_bytes, Descriptor& received,
                            Deadline deadline) {
  bytes.resize(max_bytes);
  RightsMessage message(bytes.data(), bytes.size());
  ssize_t count = 0;
  while ((count = ::recvmsg(socket.get(), &message.header, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EAGAIN && errno != EINTR) return Transfer::kClosed;
    if (errno == EAGAIN && !wait_for(socket, POLLIN, deadline)) return Transfer::kLate;
  }
  if (count == 0) return Transfer::kClosed;
  bytes.resize(static_cast<std::size_t>(count));
  const cmsghdr* rights = CMSG_FIRSTHDR(&message.header);
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(sizeof(int))) {
    return Transfer::kGarbage;
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof(int));
  received = Descriptor(fd);
  return Transfer::kDone;
}

}  // namespace allnorm
