// Unix sockets with deadlines: frames of bytes, and file descriptors, between processes of one user on one host.
//
// Nothing here waits longer than its deadline. Thread safety: none per socket; different sockets are independent.
#ifndef ALLNORM_COMM_UNIX_SOCKET_H_
#define ALLNORM_COMM_UNIX_SOCKET_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "env/descriptor.h"

namespace allnorm {

using Deadline = std::chrono::steady_clock::time_point;

/// A socket at this path, which must not exist; only its owner may connect. Throws kPeer.
Descriptor listen_at(const std::string& path);
/// Nothing if nobody listens there, or too many wait. Throws kPeer for what will not pass.
std::optional<Descriptor> connect_to(const std::string& path);
/// The next who connects and is a process of our own user; nothing if none did. Throws kPeer.
std::optional<Descriptor> accept_from(const Descriptor& listener, Deadline deadline);

/// What a frame is for.
enum class FrameKind : std::uint32_t { kHello = 1, kWelcome, kData, kResult, kError };

struct Frame {
  FrameKind kind;
  std::string bytes;
};

enum class Transfer {
  kDone,
  kClosed,  ///< The other side has closed, or its process has ended.
  kLate,    ///< The deadline has passed.
  kGarbage  ///< What came is no frame.
};

Transfer send_frame(const Descriptor& socket, FrameKind kind, std::string_view bytes, Deadline deadline);
/// `max_bytes`: a longer frame is garbage.
Transfer receive_frame(const Descriptor& socket, Frame& frame, std::size_t max_bytes, Deadline deadline);

/// A descriptor, with a few bytes that say whose it is.
Transfer send_descriptor(const Descriptor& socket, std::string_view bytes, int fd, Deadline deadline);
/// `bytes` are as many as were sent, if that were at most `max_bytes`.
Transfer receive_descriptor(const Descriptor& socket, std::string& bytes, std::size_t max_bytes, Descriptor& received,
                            Deadline deadline);

}  // namespace allnorm

#endif  // ALLNORM_COMM_UNIX_SOCKET_H_
